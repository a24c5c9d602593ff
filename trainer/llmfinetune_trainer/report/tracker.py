"""Keeps the current report of a run and hands every change to the sinks."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from llmfinetune_trainer.config.messages import (
    NO_CHECKPOINT,
    CheckpointFacts,
    DatasetFacts,
    EstimateFacts,
    Failure,
    Phase,
    Report,
    Result,
    RuntimeFacts,
)
from llmfinetune_trainer.engine.state import TrainingState
from llmfinetune_trainer.report.sink import Sink, StepRecord

SPEED_WINDOW = 10
"""Steps over which throughput is averaged."""


class Tracker:
    """The report of one run. Without sinks (every rank but the first) it only keeps count."""

    def __init__(self, sinks: Sequence[Sink], *, attempt: str, phase: Phase, restarts: int = 0) -> None:
        self._sinks = list(sinks)
        self._report = Report(attempt=attempt, phase=phase, restarts=restarts)
        self._speeds: deque[tuple[int, float]] = deque(maxlen=SPEED_WINDOW)
        self._num_steps_here = 0
        self._num_samples = 1
        self._num_samples_of_run = 1

    @property
    def current(self) -> Report:
        """The latest report."""
        return self._report

    def prepared(self, facts: DatasetFacts) -> None:
        """Preparation found these facts."""
        self._tell(dataset=facts)

    def estimated(self, facts: EstimateFacts) -> None:
        """Preparation estimated what the run will need."""
        self._tell(estimate=facts)

    def started(
        self,
        runtime: RuntimeFacts,
        *,
        state: TrainingState,
        checkpoint: CheckpointFacts | None,
        total_steps: int,
        num_samples: int,
        num_samples_of_run: int,
    ) -> None:
        """Training starts, or goes on, from `state`. `checkpoint` is the newest on the volume, if any is."""
        self._num_samples, self._num_samples_of_run = num_samples, num_samples_of_run
        self._tell(
            runtime=runtime,
            total_steps=total_steps,
            checkpoint=checkpoint or NO_CHECKPOINT,
            **self._position(state),
        )

    def phase(self, phase: Phase) -> None:
        """A phase begins."""
        self._tell(phase=phase, phase_percent=0)

    def phase_progress(self, share: float) -> None:
        """So much of a phase without steps is done, from 0 to 1."""
        self._tell(urgent=False, phase_percent=int(100 * share))

    def step_done(self, state: TrainingState, record: StepRecord) -> None:
        """A step is finished, and `state` is what it left."""
        self._count_speed(record.num_tokens, record.seconds)
        for sink in self._sinks:
            sink.step(record)
        self._tell(
            urgent=False, learning_rate=record.learning_rate, **self._position(state), **self._speed(state)
        )

    def evaluated(self, state: TrainingState) -> None:
        """An evaluation is finished."""
        self._tell(**_evaluation(state))

    def checkpointed(self, facts: CheckpointFacts) -> None:
        """A checkpoint is on the volume."""
        self._tell(checkpoint=facts)

    def finished(self, result: Result) -> None:
        """The adapter is on the volume."""
        self._tell(result=result, eta_seconds=0)

    def failed(self, failure: Failure) -> None:
        """The run ended without a result."""
        self._tell(failure=failure)

    def close(self) -> None:
        """Delivers what is left."""
        for sink in self._sinks:
            sink.close()

    def _tell(self, *, urgent: bool = True, **changes: Any) -> None:
        self._report = self._report.model_copy(update=changes)
        for sink in self._sinks:
            sink.report(self._report, urgent=urgent)

    def _position(self, state: TrainingState) -> dict[str, Any]:
        return {
            "step": state.step,
            "epoch": round(state.cursor / self._num_samples, 4),
            "loss": state.loss,
            "history": state.history.points,
            **_evaluation(state),
        }

    def _count_speed(self, num_tokens: int, seconds: float) -> None:
        self._num_steps_here += 1
        if self._num_steps_here == 2:
            self._speeds.clear()  # the first step warms caches up and says little about the others
        self._speeds.append((num_tokens, seconds))

    def _speed(self, state: TrainingState) -> dict[str, Any]:
        seconds = sum(each for _, each in self._speeds) or 1e-9
        num_steps = len(self._speeds)
        samples_per_step = state.cursor / max(1, state.step)
        left = max(0, self._num_samples_of_run - state.cursor) / samples_per_step
        step_seconds = seconds / num_steps
        return {
            "tokens_per_second": sum(tokens for tokens, _ in self._speeds) / seconds,
            "eta_seconds": math.ceil(left * step_seconds),
            "step_seconds": round(step_seconds, 3),
        }


def _evaluation(state: TrainingState) -> dict[str, Any]:
    return {
        "eval_step": state.eval_step,
        "eval_loss": finite(state.eval_loss),
        "eval_loss_before": finite(state.eval_loss_before),
    }


def finite(value: float | None) -> float | None:
    """The value, or None where it is no number that JSON has."""
    return value if value is not None and math.isfinite(value) else None
