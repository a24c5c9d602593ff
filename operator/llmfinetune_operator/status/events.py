"""Kubernetes Events: what changed between the stored status and the new one, once for each change."""

from collections.abc import Iterator

from llmfinetune_operator.api.v1alpha1 import LLMFineTuneStatus, WorkersStatus
from llmfinetune_operator.decision import EventToPost
from llmfinetune_operator.status.phase import TERMINAL

_PHASE_EVENTS = {
    "Preparing": ("PreparationStarted", "Fetching, checking and preparing model and data"),
    "Training": ("TrainingStarted", "Workers are training"),
    "Suspended": ("Suspended", "Paused; runPolicy.suspend: false goes on from the last checkpoint"),
    "Succeeded": ("Succeeded", "The adapter is written"),
}


def events(before: LLMFineTuneStatus, after: LLMFineTuneStatus) -> tuple[EventToPost, ...]:
    """The Events that a change of status is worth."""
    if before.phase in TERMINAL:
        return ()
    return (*_phase(before, after), *_workers(before, after), *_failure(before, after))


def _phase(before: LLMFineTuneStatus, after: LLMFineTuneStatus) -> Iterator[EventToPost]:
    if after.phase != before.phase and after.phase in _PHASE_EVENTS:
        reason, message = _PHASE_EVENTS[after.phase]
        yield EventToPost(type="Normal", reason=reason, message=message)


def _workers(before: LLMFineTuneStatus, after: LLMFineTuneStatus) -> Iterator[EventToPost]:
    if before.workers is None or after.workers is None:
        return
    if after.workers.rescales > before.workers.rescales:
        message = f"Workers: {_aimed_at(before.workers)} to {_aimed_at(after.workers)}"
        message += f" ({after.workers.last_rescale_reason})"
        yield EventToPost(type="Normal", reason="Rescaled", message=message)
    if after.workers.restarts > before.workers.restarts:
        message = f"Workers were lost and start again (restart {after.workers.restarts})"
        yield EventToPost(type="Warning", reason="WorkersRestarted", message=message)


def _aimed_at(workers: WorkersStatus) -> int:
    """Workers that training goes on with."""
    has_room_for = workers.room.limit if workers.room else None
    return workers.desired if has_room_for is None else has_room_for


def _failure(before: LLMFineTuneStatus, after: LLMFineTuneStatus) -> Iterator[EventToPost]:
    if after.failure is None:
        return
    ended = after.phase == "Failed"
    known = before.failure is not None and before.failure.reason == after.failure.reason
    if ended or not known:
        reason = "Failed" if ended else after.failure.reason
        text = f"{after.failure.message}. {after.failure.hint}"
        yield EventToPost(type="Warning", reason=reason, message=text[:1024])
