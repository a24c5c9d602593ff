"""Interrupted and resumed is, bit for bit, never interrupted."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from llmfinetune_trainer.checkpoint.store import Checkpoint, CheckpointStore, read_checkpoint
from llmfinetune_trainer.checkpoint.writer import CheckpointWriter
from llmfinetune_trainer.config.run import EvaluationConfig
from llmfinetune_trainer.engine.backend import Engine
from llmfinetune_trainer.engine.loop import Training, evaluate_once, run_steps
from llmfinetune_trainer.engine.stop import preempted
from llmfinetune_trainer.errors import RunError

from .tiny import SUBJECTS, Recorder, make_training, now, run_config

CONFIG = run_config(epochs=3, checkpoint={"every_steps": 2, "every_seconds": None, "keep": 2})
CHECKS_OF_A_STEP = 2
"""Micro-batches of a step of these tests."""


class StopAfter:
    """Stops a run at the n-th micro-batch."""

    def __init__(self, num_checks: int) -> None:
        self.left = num_checks

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise preempted()


@pytest.mark.parametrize(("architecture", "engine"), SUBJECTS)
@pytest.mark.parametrize(
    ("stop_after", "dropout"),
    [(1, 0.2), (5, 0.0), (13, 0.2)],
    ids=["in the first step, with dropout", "early", "late, with dropout"],
)
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    stop_after: int, dropout: float, architecture: str, engine: Engine, tmp_path: Path
) -> None:
    made = partial(make_training, CONFIG, dropout=dropout, architecture=architecture, engine=engine)
    whole, curve = Recorder(), Recorder()
    uninterrupted = made(recorder=whole)
    run_steps(uninterrupted)

    first = Recorder()
    interrupted = made(recorder=first, check_stop=StopAfter(stop_after))
    with pytest.raises(RunError):
        run_steps(interrupted)
    store = CheckpointStore(tmp_path, keep=2)
    store.save(interrupted.state.checkpoint(), now=now())

    resumed = made(recorder=curve)
    path = store.newest()
    assert path is not None
    resumed.state.restore(read_checkpoint(path))
    run_steps(resumed)

    assert [*first.losses, *curve.losses] == whole.losses
    assert torch.equal(resumed.state.adapters.master, uninterrupted.state.adapters.master)
    assert [record.samples for record in [*first.steps, *curve.steps]] == [r.samples for r in whole.steps]
    assert resumed.state.history.points == uninterrupted.state.history.points


def test_periodic_checkpoints_are_written_and_the_newest_resumes(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    saved: list[int] = []
    writer = CheckpointWriter(store, clock=now, on_saved=lambda facts: saved.append(facts.step))
    training = make_training(CONFIG, checkpoints=writer)
    evaluate_once(training)
    _run_slowly(training, writer)
    assert saved == [2, 4, 6, 8]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000006", "step-00000008"]
    resumed = make_training(CONFIG)
    path = store.newest()
    assert path is not None
    resumed.state.restore(read_checkpoint(path))
    assert resumed.state.eval_loss_before == training.state.eval_loss_before
    assert torch.equal(resumed.state.adapters.master, training.state.adapters.master)


def test_an_evaluation_that_was_cut_short_is_made_up_for_and_none_is_repeated() -> None:
    config = run_config(epochs=2).model_copy(update={"evaluation": EvaluationConfig(every_steps=2)})
    whole, first, second = Recorder(), Recorder(), Recorder()
    run_steps(make_training(config, recorder=whole))
    cut = make_training(config, recorder=first, check_stop=StopAfter(2 * CHECKS_OF_A_STEP))
    with pytest.raises(RunError):
        run_steps(cut)
    assert (cut.state.step, cut.state.eval_step) == (2, None)
    resumed = make_training(config, recorder=second)
    resumed.state.restore(_through_a_file(cut.state.checkpoint()))
    run_steps(resumed)
    assert [*evaluations(first), *evaluations(second)] == evaluations(whole)
    assert [step for step, _ in evaluations(whole)] == [2, 4]


def evaluations(recorder: Recorder) -> list[tuple[int, float]]:
    told = ((r.eval_step, r.eval_loss) for r in recorder.reports)
    return list(dict.fromkeys((step, loss) for step, loss in told if step is not None and loss is not None))


def _through_a_file(checkpoint: Checkpoint) -> Checkpoint:
    return checkpoint._replace(state=json.loads(json.dumps(checkpoint.state)))


def test_a_checkpoint_of_another_configuration_is_refused() -> None:
    training = make_training(CONFIG)
    checkpoint = training.state.checkpoint()
    other = checkpoint._replace(state={**checkpoint.state, "configDigest": "another"})
    with pytest.raises(RunError, match="another model, data set or setting"):
        training.state.restore(other)


def _run_slowly(training: Training, writer: CheckpointWriter) -> None:
    """Runs to the end, letting every checkpoint finish before the next step."""
    training.check_stop = writer._finish_pending
    run_steps(training)
    writer.close()
