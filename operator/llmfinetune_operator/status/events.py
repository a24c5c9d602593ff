"""Kubernetes Events: what changed between the stored status and the new one, once for each change."""

from collections.abc import Iterator

from llmfinetune_operator.api.v1alpha1 import FailureStatus, LLMFineTuneStatus, WorkersStatus
from llmfinetune_operator.decision import EventToPost
from llmfinetune_operator.status.phase import TERMINAL

_PHASE_EVENTS = {
    "Queued": ("Queued", "Waiting for the queue to admit the job"),
    "Preparing": ("PreparationStarted", "Fetching, checking and preparing model and data"),
    "Training": ("TrainingStarted", "Workers are training"),
    "Suspended": ("Suspended", "Paused; runPolicy.suspend: false goes on from the last checkpoint"),
    "Succeeded": ("Succeeded", "The adapter is written"),
}


def events(before: LLMFineTuneStatus, after: LLMFineTuneStatus) -> tuple[EventToPost, ...]:
    """The Events that a change of status is worth."""
    if before.phase in TERMINAL:
        return ()
    return (
        *_phase(before, after),
        *_workers(before, after),
        *_remedies(before, after),
        *_failure(before, after),
    )


def new_failure(before: LLMFineTuneStatus, after: LLMFineTuneStatus) -> FailureStatus | None:
    """The failure that is told for the first time, or that workers have had again."""
    return after.failure if _is_news(before, after) or _failed_again(before, after) else None


def _failed_again(before: LLMFineTuneStatus, after: LLMFineTuneStatus) -> bool:
    """Whether workers failed, or ended as told, once more. What they waited after has been told by then."""
    then, now, told = before.workers, after.workers, after.failure
    if then is None or now is None or told is None or then.next_start_time is not None:
        return False
    is_ending = told.exit_code is not None and told.category == now.last_restart_reason
    return now.failures > then.failures or (is_ending and now.restarts > then.restarts)


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
    yield from _in_pod(before.workers, after.workers)
    if after.workers.restarts > before.workers.restarts:
        reason = after.workers.last_restart_reason or "unknown"
        message = f"Workers were lost ({reason}) and start again (restart {after.workers.restarts})"
        if after.workers.next_start_time is not None:
            message += f" at {after.workers.next_start_time}"
        yield EventToPost(type="Warning", reason="WorkersRestarted", message=message)


def _in_pod(before: WorkersStatus, after: WorkersStatus) -> Iterator[EventToPost]:
    if (after.restarts_in_pod or 0) > (before.restarts_in_pod or 0):
        message = (
            f"A training process ended or lost a peer, and started again in its pod ({after.restarts_in_pod})"
        )
        yield EventToPost(type="Warning", reason="TrainingRestarted", message=message)


def _aimed_at(workers: WorkersStatus) -> int:
    """Workers that training goes on with."""
    has_room_for = workers.room.limit if workers.room else None
    return workers.desired if has_room_for is None else has_room_for


def _failure(before: LLMFineTuneStatus, after: LLMFineTuneStatus) -> Iterator[EventToPost]:
    if after.failure is not None and _is_news(before, after):
        reason = "Failed" if after.phase == "Failed" else after.failure.reason
        text = f"{after.failure.message}. {after.failure.hint}"
        yield EventToPost(type="Warning", reason=reason, message=text[:1024])


def _is_news(before: LLMFineTuneStatus, after: LLMFineTuneStatus) -> bool:
    if after.failure is None or before.phase in TERMINAL:
        return False
    known = before.failure is not None and before.failure.reason == after.failure.reason
    return after.phase == "Failed" or not known


def _remedies(before: LLMFineTuneStatus, after: LLMFineTuneStatus) -> Iterator[EventToPost]:
    for remedy in after.remedies[len(before.remedies) :]:
        message = (
            f"Workers ran out of memory: from attempt {remedy.attempt} on they compute at most "
            f"{remedy.micro_batch_tokens} tokens at once instead of {remedy.micro_batch_tokens_before}; "
            "the results stay the same"
        )
        yield EventToPost(type="Warning", reason="SmallerMicroBatches", message=message)
