"""What a cycle does about the training job, and how one attempt follows another.

An attempt is replaced in three steps, each of which can be repeated after a crash: the status counts the next
attempt; a job of an earlier attempt is deleted; once its pods are gone too, the job is made anew.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from llmfinetune_operator.api.v1alpha1 import FailureStatus, Remedy
from llmfinetune_operator.policies.counts import Counts
from llmfinetune_operator.policies.trouble import Trouble
from llmfinetune_operator.policies.view import View
from llmfinetune_trainer.config.messages import Result


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """What this cycle does about the training job."""

    attempt: int
    counts: Counts
    apply: bool = False
    delete: bool = False
    trouble: Trouble | None = None
    ending: FailureStatus | None = None
    """How a worker ended that is replaced and costs nothing."""
    remedy: Remedy | None = None
    """What the next attempt does otherwise than the one before it."""
    result: Result | None = None
    """The result, once training has succeeded."""
    wake_at: datetime | None = None


def next_attempt(view: View, step: TrainingStep, counts: Counts) -> TrainingStep:
    """The step that counts the next attempt; the next cycle acts on it."""
    counted = counts.without_pods()
    return replace(step, attempt=step.attempt + 1, counts=counted, apply=False, wake_at=view.now)
