"""One process, two and four make the same loss curve and the same adapter, to rounding."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as multiprocessing

from llmfinetune_trainer.engine.distributed import joined
from llmfinetune_trainer.engine.loop import evaluate_once, run_steps

from .tiny import Recorder, make_training, run_config


@pytest.mark.timeout(600)  # every rank imports torch anew
@pytest.mark.parametrize("world_size", [2, 4])
def test_loss_curve_and_adapter_do_not_depend_on_the_number_of_ranks(world_size: int, tmp_path: Path) -> None:
    alone = _run_one()
    multiprocessing.spawn(  # type: ignore[no-untyped-call]
        _rank, args=(world_size, _free_port(), str(tmp_path)), nprocs=world_size
    )
    results = [torch.load(tmp_path / f"{rank}.pt") for rank in range(world_size)]
    for result in results:
        assert result["losses"] == pytest.approx(alone["losses"], rel=1e-4)
        assert result["eval_loss"] == pytest.approx(alone["eval_loss"], rel=1e-4)
        assert result["samples"] == alone["samples"]
        torch.testing.assert_close(result["master"], alone["master"], rtol=1e-2, atol=1e-4)
        assert torch.equal(result["master"], results[0]["master"])


def _run_one(ranks: Any = None) -> dict[str, Any]:
    torch.set_num_threads(1)
    recorder = Recorder()
    training = make_training(run_config(epochs=1, batch_size=6), ranks=ranks, recorder=recorder)
    run_steps(training)
    evaluate_once(training)
    return {
        "losses": recorder.losses,
        "samples": [record.samples for record in recorder.steps],
        "eval_loss": training.state.eval_loss,
        "master": training.state.adapters.master,
    }


def _rank(rank: int, world_size: int, port: int, directory: str) -> None:
    os.environ.update(
        RANK=str(rank), WORLD_SIZE=str(world_size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    with joined("gloo") as ranks:
        torch.save(_run_one(ranks), Path(directory) / f"{rank}.pt")


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port
