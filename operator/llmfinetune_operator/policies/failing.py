"""What follows from a failure of the workers: the end, another try after a wait, or one with less memory."""

from dataclasses import replace
from typing import Final

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.policies.attempts import TrainingStep, next_attempt
from llmfinetune_operator.policies.categories import is_free
from llmfinetune_operator.policies.counts import Counts
from llmfinetune_operator.policies.remedies import exhausted, next_remedy
from llmfinetune_operator.policies.retries import retry_at, waits_until
from llmfinetune_operator.policies.trouble import Trouble
from llmfinetune_operator.policies.view import View

QUICK_FAILURES: Final = 2
"""Failures without a new checkpoint between them after which workers are no longer replaced at once."""


def job_failed(view: View, step: TrainingStep, failure: FailureStatus) -> TrainingStep:
    """The whole job failed: it is tried again after a wait, during which its pods can still be looked at."""
    told = replace(step, trouble=Trouble(failure=failure))
    if is_free(failure.category):
        return next_attempt(view, told, step.counts.restarted(view, failure.category))
    if failure.category == "OutOfMemory":
        return _with_less_memory(view, told, step.counts.failed(view, failure.category))
    if not failure.retryable:
        return _ended(step, failure)
    counts = step.counts.failed(view, failure.category)
    if _too_often(view, counts):
        return _given_up(view, step, failure)
    due = waits_until(view) or retry_at(view, step.counts.failures_in_a_row)
    if view.now < due:
        return replace(told, counts=step.counts.starting_at(due), wake_at=due)
    return next_attempt(view, told, counts)


def worker_failed(view: View, step: TrainingStep, failure: FailureStatus) -> TrainingStep:
    """A worker failed, and the training operator replaces it at once. `step.counts` have it counted.

    That has no end and no pause of its own, so that a worker that keeps failing is taken out of its hands:
    the next attempt waits.
    """
    told = replace(step, trouble=Trouble(failure=failure))
    if failure.category == "OutOfMemory":
        return _with_less_memory(view, told, step.counts)
    if _too_often(view, step.counts):
        return _given_up(view, step, failure)
    if step.counts.failures_in_a_row < QUICK_FAILURES:
        return replace(told, apply=True)
    due = retry_at(view, step.counts.failures_in_a_row - 1)
    return next_attempt(view, told, step.counts.starting_at(due))


def stalled_for_long(view: View, step: TrainingStep, trouble: Trouble) -> TrainingStep:
    """Workers run and do not get on: they start again, which counts as a failure."""
    counts = step.counts.failed(view, trouble.failure.reason)
    if _too_often(view, counts):
        return _given_up(view, step, trouble.failure)
    return next_attempt(view, replace(step, trouble=trouble), counts)


def _too_often(view: View, counts: Counts) -> bool:
    return counts.failures > view.spec.run_policy.max_restarts


def _given_up(view: View, step: TrainingStep, failure: FailureStatus) -> TrainingStep:
    tried = f"{view.spec.run_policy.max_restarts} restarts (runPolicy.maxRestarts)"
    return _ended(step, failure, tried=tried)


def _with_less_memory(view: View, step: TrainingStep, counts: Counts) -> TrainingStep:
    assert step.trouble is not None, "what ran out of memory has been told"
    failure = step.trouble.failure
    remedy = next_remedy(view, attempt=step.attempt + 1)
    if remedy is None or _too_often(view, counts):
        return _ended(replace(step, counts=counts), exhausted(view, failure))
    return next_attempt(view, replace(step, remedy=remedy), counts)


def _ended(step: TrainingStep, failure: FailureStatus, *, tried: str | None = None) -> TrainingStep:
    return replace(step, trouble=Trouble(failure=failure, final=True, tried=tried))
