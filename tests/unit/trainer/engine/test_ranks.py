"""One process, two and four make the same loss curve and the same adapter, to rounding, in every family by
either engine; and a run that goes on with another number of them stays on that curve."""

import datetime as dt
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as multiprocessing

from llmfinetune_trainer.checkpoint.store import CheckpointStore, read_checkpoint
from llmfinetune_trainer.engine import distributed
from llmfinetune_trainer.engine.distributed import Ranks, joined
from llmfinetune_trainer.engine.loop import evaluate_once, run_steps
from llmfinetune_trainer.engine.stop import preempted
from llmfinetune_trainer.errors import RunError

from .tiny import SUBJECTS, Recorder, make_training, now, run_config

CASES: dict[str, dict[str, Any]] = {
    f"{architecture}, {engine}, dropout {dropout}": {
        "architecture": architecture,
        "engine": engine,
        "dropout": dropout,
    }
    for architecture, engine in SUBJECTS
    for dropout in ((0.0, 0.2) if architecture == "llama" else (0.2,))
}
CONFIG = run_config(epochs=2, batch_size=6)
HALF = 3


@pytest.mark.timeout(600)  # every rank imports torch anew
@pytest.mark.parametrize("world_size", [2, 4])
def test_loss_curve_and_adapter_do_not_depend_on_the_number_of_ranks(world_size: int, tmp_path: Path) -> None:
    alone = {case: _run(case) for case in CASES}
    for case in CASES:
        _save_half(case, tmp_path / case)
    multiprocessing.spawn(  # type: ignore[no-untyped-call]
        _rank, args=(world_size, _free_port(), str(tmp_path)), nprocs=world_size
    )
    results = [torch.load(tmp_path / f"{rank}.pt") for rank in range(world_size)]
    for case in CASES:
        for result in (result[case] for result in results):
            _assert_same(result["whole"], alone[case], first=0)
            _assert_same(result["second half"], alone[case], first=HALF)
            for part, ours in result.items():
                assert torch.equal(ours["master"], results[0][case][part]["master"])


def _assert_same(ours: dict[str, Any], alone: dict[str, Any], *, first: int) -> None:
    assert ours["losses"] == pytest.approx(alone["losses"][first:], rel=1e-4)
    assert ours["samples"] == alone["samples"][first:]
    assert ours["eval_loss"] == pytest.approx(alone["eval_loss"], rel=1e-4)
    torch.testing.assert_close(ours["master"], alone["master"], rtol=1e-2, atol=2e-4)


def _run(case: str, *, ranks: Ranks | None = None, origin: Path | None = None) -> dict[str, Any]:
    torch.set_num_threads(1)
    recorder = Recorder()
    training = make_training(CONFIG, ranks=ranks, recorder=recorder, **CASES[case])
    if origin is not None:
        path = CheckpointStore(origin, keep=1).newest()
        assert path is not None
        training.state.restore(read_checkpoint(path))
    run_steps(training)
    evaluate_once(training)
    return {
        "losses": recorder.losses,
        "samples": [record.samples for record in recorder.steps],
        "eval_loss": training.state.eval_loss,
        "master": training.state.adapters.master,
    }


def _save_half(case: str, directory: Path) -> None:
    """Leaves the checkpoint of a run by one process, after some steps."""
    training = make_training(CONFIG, **CASES[case])

    def stop_halfway() -> None:
        if training.state.step == HALF:
            raise preempted()

    training.check_stop = stop_halfway
    with pytest.raises(RunError):
        run_steps(training)
    CheckpointStore(directory, keep=1).save(training.state.checkpoint(), now=now())


def _rank(rank: int, world_size: int, port: int, directory: str) -> None:
    os.environ.update(
        RANK=str(rank), WORLD_SIZE=str(world_size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    with joined("gloo") as ranks:
        results = {
            case: {
                "whole": _run(case, ranks=ranks),
                "second half": _run(case, ranks=ranks, origin=Path(directory) / case),
            }
            for case in CASES
        }
        torch.save(results, Path(directory) / f"{rank}.pt")


@pytest.mark.timeout(600)  # every rank imports torch anew
def test_others_wait_for_the_first_rank_beyond_a_collectives_time_but_not_for_a_dead_one(
    tmp_path: Path,
) -> None:
    multiprocessing.spawn(  # type: ignore[no-untyped-call]
        _patient_rank, args=(_free_port(), str(tmp_path)), nprocs=2
    )
    assert (tmp_path / "1").read_text() == "merged, then PeersLost"


def _patient_rank(rank: int, port: int, directory: str) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))

    def merge_for_long() -> str:
        time.sleep(6)
        return "merged"

    def die() -> None:
        os._exit(0)

    distributed.TIMEOUT = dt.timedelta(seconds=4)
    _meet(rank, Path(directory))
    with joined("gloo") as ranks:
        merged = ranks.from_first(merge_for_long)
        with pytest.raises(RunError) as caught:
            ranks.from_first(die)
        Path(directory, str(rank)).write_text(f"{merged}, then {caught.value.failure.reason}")


def _meet(rank: int, directory: Path) -> None:
    """Waits until both ranks have imported torch."""
    (directory / f"{rank} is there").touch()
    while not (directory / f"{1 - rank} is there").exists():
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port
