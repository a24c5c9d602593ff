"""Judges the training job: make it, keep it, or let the next attempt take its place."""

from dataclasses import replace
from datetime import timedelta

from llmfinetune_operator.backends.base import JobState
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.attempts import TrainingStep, next_attempt
from llmfinetune_operator.policies.completion import known_result, missing_result, result_due
from llmfinetune_operator.policies.counts import Counts
from llmfinetune_operator.policies.failing import job_failed, stalled_for_long, worker_failed
from llmfinetune_operator.policies.losses import Losses, losses
from llmfinetune_operator.policies.lost_nodes import lost_worker
from llmfinetune_operator.policies.queueing import is_fixed, is_resized
from llmfinetune_operator.policies.restart import needs_restart
from llmfinetune_operator.policies.retries import waits_until
from llmfinetune_operator.policies.room import Room
from llmfinetune_operator.policies.shortage import worker_trouble
from llmfinetune_operator.policies.stalls import Stall, stall
from llmfinetune_operator.policies.stuck import next_stuck, stuck_trouble
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.policies.why_failed import why_failed

_INSTALL = "install Kubeflow's training operator (v1.9); training starts by itself then"


def training_step(view: View, *, room: Room, prepared: bool) -> TrainingStep:
    """What to do about the live training job."""
    lost = losses(view, asked=room.asked)
    step = TrainingStep(attempt=view.attempt, counts=lost.counts, ending=lost.ending)
    job = view.training_job
    if job is None:
        return _without_job(view, step, prepared=prepared)
    if view.is_outdated:
        return _making_room(view, replace(step, delete=not pods.is_leaving(job)))
    match view.backend.state(job):
        case JobState.FAILED:
            return job_failed(view, step, why_failed(view))
        case JobState.SUCCEEDED:
            return _succeeded(view, job, step)
    if view.suspended and is_fixed(view, job):
        return replace(step, delete=not pods.is_leaving(job))
    if needs_restart(view, job) or is_resized(view, job) or not prepared:
        # Somebody asked for another attempt: what fails in the one that goes is not held against it.
        return next_attempt(view, step, Counts.of(view))
    return _active(view, step, lost, room)


def _without_job(view: View, step: TrainingStep, *, prepared: bool) -> TrainingStep:
    if not prepared:
        return step
    if view.suspended:
        return replace(step, trouble=stuck_trouble(view), wake_at=next_stuck(view))
    if not view.observed.training_api_available:
        return replace(step, trouble=_operator_missing(view))
    if view.named_like_workers:
        return _making_room(view, step)
    due = waits_until(view)
    if due is not None and view.now < due:
        return replace(step, counts=step.counts.starting_at(due), wake_at=due)
    return replace(step, attempt=max(step.attempt, 1), apply=True)


def _making_room(view: View, step: TrainingStep) -> TrainingStep:
    """A wait that is written down stays so while the attempt before goes."""
    going = replace(step, trouble=stuck_trouble(view), wake_at=next_stuck(view))
    due = waits_until(view)
    return going if due is None else replace(going, counts=step.counts.starting_at(due))


def _active(view: View, step: TrainingStep, lost: Losses, room: Room) -> TrainingStep:
    if view.is_paused:
        return replace(step, apply=True, trouble=stuck_trouble(view), wake_at=next_stuck(view))
    if lost.failure is not None:
        return worker_failed(view, step, lost.failure)
    if lost.without_goodbye:
        return next_attempt(view, step, step.counts)
    silence = lost_worker(view)
    if silence is not None:
        told = replace(step, ending=silence)
        return next_attempt(view, told, step.counts.restarted(view, silence.category))
    trouble = worker_trouble(view, room)
    stalled = stall(view, asked=room.asked - len(room.stuck)) if trouble is None else Stall()
    if stalled.restart and stalled.trouble is not None:
        return stalled_for_long(view, step, stalled.trouble)
    return replace(step, apply=True, trouble=trouble or stalled.trouble, wake_at=stalled.wake_at)


def _succeeded(view: View, job: Object, step: TrainingStep) -> TrainingStep:
    result = known_result(view)
    if result is not None:
        return replace(step, result=result)
    grace_ends = result_due(view, job)
    if view.now < grace_ends:
        return replace(step, wake_at=grace_ends)
    return job_failed(view, step, missing_result())


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
