"""The training loop: plan a step, compute this rank's share, sum over ranks, update, report, save."""

import math
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from llmfinetune_trainer.checkpoint.writer import CheckpointWriter
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.engine.batches import TOKEN_BUDGET, Samples, StepPlan, micro_batch, plan_step
from llmfinetune_trainer.engine.distributed import Ranks
from llmfinetune_trainer.engine.gradients import GradientComputer
from llmfinetune_trainer.engine.optimizer import clip_by_norm
from llmfinetune_trainer.engine.schedule import learning_rate, num_training_steps
from llmfinetune_trainer.engine.state import TrainingState
from llmfinetune_trainer.errors import diverged
from llmfinetune_trainer.evaluate import evaluate
from llmfinetune_trainer.report.sink import StepRecord
from llmfinetune_trainer.report.tracker import Tracker

EXPLOSION = 10.0
"""A loss beyond so many times one more than its recent mean is no outlier: it is worse than guessing."""


@dataclass(kw_only=True, slots=True)
class Training:
    """The parts of one run, on one rank."""

    config: RunConfig
    train: Samples
    validation: Samples
    ranks: Ranks
    computer: GradientComputer
    state: TrainingState
    tracker: Tracker
    checkpoints: CheckpointWriter | None
    """None on every rank but the first."""
    check_stop: Callable[[], None]
    """Raises when the run is told to stop."""
    token_budget: int = TOKEN_BUDGET
    monotonic: Callable[[], float] = time.monotonic

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return num_training_steps(self.config.training, self.train.num_samples)


def run_steps(training: Training) -> None:
    """Trains from where the state is to the last step.

    Raises:
        RunError: told to stop, peers lost, or diverged. The state is then that of the last finished step.
    """
    state, saved_at = training.state, training.monotonic()
    while state.step < training.total_steps:
        if _due(training.config.evaluation.every_steps, state.step):
            evaluate_once(training)
        train_step(training, started=training.monotonic())
        if _save_where_due(training, since=training.monotonic() - saved_at):
            saved_at = training.monotonic()


def train_step(training: Training, *, started: float) -> None:
    """One optimizer step."""
    state, ranks = training.state, training.ranks
    plan = plan_step(
        training.train,
        training.config.training,
        cursor=state.cursor,
        rank=ranks.rank,
        world_size=ranks.world_size,
        budget=training.token_budget,
    )
    loss = compute_gradient(training, plan)
    norm = clip_by_norm(state.adapters.gradient, limit=training.config.training.gradient_clip)
    require_sound(loss, norm, state=state, samples=plan.samples.tolist())
    rate = learning_rate(training.config.training, step=state.step, total_steps=training.total_steps)
    cursor = state.cursor + len(plan.samples)
    with state.lock:
        state.optimizer.step(state.adapters.gradient, learning_rate=rate)
        state.adapters.publish()
        record = StepRecord(
            step=state.step + 1,
            epoch=cursor / training.train.num_samples,
            cursor=cursor,
            samples=samples_digest(plan),
            loss=loss,
            learning_rate=rate,
            gradient_norm=norm,
            num_tokens=plan.num_tokens,
            seconds=training.monotonic() - started,
            world_size=ranks.world_size,
        )
        state.advance(record)
    training.tracker.step_done(state, record)


def compute_gradient(training: Training, plan: StepPlan) -> float:
    """Leaves the gradient of the global batch's mean loss in the adapters, and returns that loss."""
    adapters, scale = training.state.adapters, 1.0 / plan.num_supervised
    adapters.bucket.zero_()
    seed = dropout_seed(training.config.training.seed, step=training.state.step)
    for indices in plan.packs:
        training.check_stop()
        batch = micro_batch(training.train, indices)
        adapters.bucket[-1] += (
            training.computer.forward_backward(batch, scale=scale, dropout_seed=seed) * scale
        )
    training.ranks.sum(adapters.bucket)
    return float(adapters.bucket[-1])


def evaluate_once(training: Training) -> None:
    """Evaluates on the held-out split, unless these very weights were evaluated before an interruption."""
    if training.state.eval_step == training.state.step:
        return
    training.tracker.phase("Evaluating")
    loss = evaluate(
        training.validation,
        training.computer,
        training.ranks,
        budget=training.token_budget,
        check_stop=training.check_stop,
        on_progress=training.tracker.phase_progress,
    )
    training.state.evaluated(loss)
    training.tracker.evaluated(training.state)
    training.tracker.phase("Training")


def require_sound(loss: float, gradient_norm: float, *, state: TrainingState, samples: Sequence[int]) -> None:
    """Stops before the update that would destroy the weights.

    Raises:
        RunError: loss or gradient is NaN or infinite, or the loss has exploded.
    """
    finite = math.isfinite(loss) and math.isfinite(gradient_norm)
    usual = state.loss
    if finite and (usual is None or loss <= EXPLOSION * (1.0 + usual)):
        return
    shown = ", ".join(map(str, samples[:16])) + (", …" if len(samples) > 16 else "")
    was = "" if usual is None else f"; the mean of the steps before is {usual:.4g}"
    raise diverged(
        "LossExploded" if finite else "LossNotFinite",
        f"step {state.step + 1}: loss is {loss:.6g}, gradient norm is {gradient_norm:.6g}{was} "
        f"(training samples {shown})",
        hint="lower training.learningRate, raise training.warmupRatio, or look at these samples; "
        "the newest checkpoint holds the state before this step",
    )


def dropout_seed(seed: int, *, step: int) -> int:
    """Seed of a step's dropout: the same on every rank, and after a restart."""
    return zlib.crc32(f"{seed}/{step}".encode())


def samples_digest(plan: StepPlan) -> str:
    """Short fingerprint of which samples a step saw, in order."""
    return f"{zlib.crc32(plan.samples.astype(np.int64).tobytes()):08x}"


def _save_where_due(training: Training, *, since: float) -> bool:
    """Begins to save a checkpoint where one is due; says whether it did."""
    writer = training.checkpoints
    if writer is None:
        return False
    writer.require_sound()
    return _checkpoint_due(training, since=since) and writer.save_soon(training.state.checkpoint)


def _checkpoint_due(training: Training, *, since: float) -> bool:
    policy = training.config.checkpoint
    return _due(policy.every_steps, training.state.step) or (
        policy.every_seconds is not None and since >= policy.every_seconds
    )


def _due(every: int | None, step: int) -> bool:
    return every is not None and step > 0 and step % every == 0
