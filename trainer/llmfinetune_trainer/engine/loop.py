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
from llmfinetune_trainer.report.tracker import Tracker


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
        started = training.monotonic()
        train_step(training, started=started)
        if _due(training.config.evaluation.every_steps, state.step) and state.step < training.total_steps:
            evaluate_now(training)
        if _checkpoint_due(training, since=training.monotonic() - saved_at) and _save_soon(training):
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
    require_finite(loss, norm, step=state.step + 1, samples=plan.samples.tolist())
    rate = learning_rate(training.config.training, step=state.step, total_steps=training.total_steps)
    with state.lock:
        state.optimizer.step(state.adapters.gradient, learning_rate=rate)
        state.adapters.publish()
        state.advance(num_samples=len(plan.samples), loss=loss)
    training.tracker.step_done(
        state,
        loss=loss,
        learning_rate=rate,
        gradient_norm=norm,
        num_tokens=plan.num_tokens,
        samples_digest=samples_digest(plan),
        seconds=training.monotonic() - started,
    )


def compute_gradient(training: Training, plan: StepPlan) -> float:
    """Leaves the gradient of the global batch's mean loss in the adapters, and returns that loss."""
    adapters, scale = training.state.adapters, 1.0 / plan.num_supervised
    adapters.bucket.zero_()
    for indices in plan.packs:
        training.check_stop()
        seed = dropout_seed(training.config.training.seed, step=training.state.step, sample=min(indices))
        batch = micro_batch(training.train, indices)
        adapters.bucket[-1] += (
            training.computer.forward_backward(batch, scale=scale, dropout_seed=seed) * scale
        )
    training.ranks.sum(adapters.bucket)
    return float(adapters.bucket[-1])


def evaluate_now(training: Training) -> None:
    """Evaluates on the held-out split and keeps the result in the state."""
    training.tracker.phase("Evaluating")
    loss = evaluate(
        training.validation,
        training.computer,
        training.ranks,
        budget=training.token_budget,
        check_stop=training.check_stop,
    )
    with training.state.lock:
        training.state.eval_loss = loss
        if training.state.step == 0:
            training.state.eval_loss_before = loss
    training.tracker.evaluated(training.state)
    training.tracker.phase("Training")


def require_finite(loss: float, gradient_norm: float, *, step: int, samples: Sequence[int]) -> None:
    """Stops before the update that would destroy the weights.

    Raises:
        RunError: loss or gradient is NaN or infinite.
    """
    if math.isfinite(loss) and math.isfinite(gradient_norm):
        return
    shown = ", ".join(map(str, samples[:16])) + (", …" if len(samples) > 16 else "")
    raise diverged(
        f"step {step}: loss is {loss}, gradient norm is {gradient_norm} (training samples {shown})",
        hint="lower training.learningRate, raise training.warmupRatio, or look at these samples; "
        "the last checkpoint holds the state before this step",
    )


def dropout_seed(seed: int, *, step: int, sample: int) -> int:
    """Seed of a micro-batch's dropout: the same whichever rank computes it, and after a restart."""
    return zlib.crc32(f"{seed}/{step}/{sample}".encode())


def samples_digest(plan: StepPlan) -> str:
    """Short fingerprint of which samples a step saw, in order."""
    return f"{zlib.crc32(plan.samples.astype(np.int64).tobytes()):08x}"


def _save_soon(training: Training) -> bool:
    return training.checkpoints is not None and training.checkpoints.save_soon(training.state.checkpoint())


def _checkpoint_due(training: Training, *, since: float) -> bool:
    policy = training.config.checkpoint
    return _due(policy.every_steps, training.state.step) or (
        policy.every_seconds is not None and since >= policy.every_seconds
    )


def _due(every: int | None, step: int) -> bool:
    return every is not None and step % every == 0
