"""What to do with the training job: make it, keep it, or let the next attempt take its place.

An attempt is replaced in three steps, each of which can be repeated after a crash: the status counts the next
attempt; a job of an earlier attempt is deleted; once its pods are gone too, the job is made anew.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.backends.base import JobState
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.completion import known_result, missing_result, result_due
from llmfinetune_operator.policies.losses import Losses, losses
from llmfinetune_operator.policies.restart import needs_restart
from llmfinetune_operator.policies.retries import given_up, may_retry, retry_at
from llmfinetune_operator.policies.room import room
from llmfinetune_operator.policies.shortage import worker_trouble
from llmfinetune_operator.policies.termination import explain
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_trainer.config.messages import Result

_INSTALL = "install Kubeflow's training operator (v1.9); training starts by itself then"


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """What this cycle does about the training job."""

    attempt: int
    losses: Losses
    apply: bool = False
    delete: bool = False
    trouble: Trouble | None = None
    result: Result | None = None
    """The result, once training has succeeded."""
    wake_at: datetime | None = None


def training_step(view: View, *, prepared: bool) -> TrainingStep:
    """Judges the live training job."""
    step = TrainingStep(attempt=view.attempt, losses=losses(view))
    job = view.training_job
    if job is None:
        return _without_job(view, step, prepared=prepared)
    if view.is_outdated:
        return replace(step, delete=not pods.is_leaving(job))
    match view.backend.state(job):
        case JobState.FAILED:
            return _failed(view, job, step)
        case JobState.SUCCEEDED:
            return _succeeded(view, job, step)
    if needs_restart(view, job) or not prepared:
        return _next_attempt(view, step, step.losses.without_pods())
    return _active(view, step)


def _without_job(view: View, step: TrainingStep, *, prepared: bool) -> TrainingStep:
    if not prepared or view.suspended:
        return step
    if not view.observed.training_api_available:
        return replace(step, trouble=_operator_missing(view))
    if view.worker_pods:  # pods of the attempt before have the same names
        return step
    return replace(step, attempt=max(step.attempt, 1), apply=True)


def _active(view: View, step: TrainingStep) -> TrainingStep:
    trouble = None if view.suspended else worker_trouble(view, room(view))
    limit = view.spec.run_policy.max_restarts
    if step.losses.failures > limit:
        last = trouble.failure if trouble else view.previous.failure or _unexplained(view)
        return replace(step, trouble=Trouble(failure=given_up(last, limit), final=True))
    return replace(step, apply=True, trouble=trouble)


def _failed(view: View, job: Object, step: TrainingStep) -> TrainingStep:
    trouble = _why_failed(view)
    if not trouble.failure.retryable:
        return replace(step, trouble=replace(trouble, final=True))
    return _retry(view, replace(step, trouble=trouble), failed_at=view.backend.finished_at(job) or view.now)


def _succeeded(view: View, job: Object, step: TrainingStep) -> TrainingStep:
    result = known_result(view)
    if result is not None:
        return replace(step, result=result)
    grace_ends = result_due(view, job)
    if view.now < grace_ends:
        return replace(step, wake_at=grace_ends)
    return _retry(view, replace(step, trouble=missing_result()), failed_at=grace_ends)


def _retry(view: View, step: TrainingStep, *, failed_at: datetime) -> TrainingStep:
    assert step.trouble is not None, "what is tried again has failed of something"
    if not may_retry(view, step.losses.failures):
        last = given_up(step.trouble.failure, view.spec.run_policy.max_restarts)
        return replace(step, trouble=Trouble(failure=last, final=True))
    due = retry_at(view, step.losses.failures, failed_at)
    if view.now < due:
        return replace(step, wake_at=due)
    return _next_attempt(view, step, step.losses.after_failure(view.now))


def _next_attempt(view: View, step: TrainingStep, counts: Losses) -> TrainingStep:
    return replace(step, attempt=step.attempt + 1, losses=counts, wake_at=view.now)


def _why_failed(view: View) -> Trouble:
    """The first pod that ended with a code that stays tells most; others often fail because it did."""
    endings = [ended for pod in view.worker_pods if (ended := pods.termination(pod)) and ended.exit_code]
    first = min(endings, key=lambda ended: (ended.exit_code >= 128, ended.pod), default=None)
    if first is not None:
        return Trouble(failure=explain(first))
    if view.report is not None and view.report.failure is not None:
        told = view.report.failure
        return Trouble(
            failure=failure(
                told.category, told.reason, told.message, hint=told.hint, retryable=told.retryable
            )
        )
    return Trouble(failure=_unexplained(view))


def _unexplained(view: View) -> FailureStatus:
    job = view.training_job
    message = view.backend.failure_message(job) if job else ""
    return failure(
        "Internal",
        "WorkersFailed",
        message or "workers failed, and their pods are gone",
        hint="read the events of the training job and of its pods",
        retryable=True,
    )


def _operator_missing(view: View) -> Trouble:
    ref = view.training_ref
    return Trouble(
        failure=failure(
            "Internal",
            "TrainingOperatorMissing",
            f"the cluster does not know {ref.kind} ({ref.api_version})",
            hint=_INSTALL,
            retryable=True,
        ),
        wake_at=view.now + timedelta(seconds=view.settings.refused_retry_seconds),
    )
