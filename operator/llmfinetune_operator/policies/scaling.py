"""Counts changes of the number of workers while they train, with their reasons."""

from llmfinetune_operator.policies.room import Room
from llmfinetune_operator.policies.view import View

REASON_SCALED = "Scaled"


def rescales(view: View, room: Room) -> tuple[int, str | None]:
    """Number and latest reason of rescales, with the one that this cycle brings.

    A rescale is a number of workers other than the one in the stored status while a job is there: one that
    the user wants, or one that the cluster has room for. The new number and the new count are written
    together, so that each change counts once.
    """
    known = view.previous.workers
    if known is None:
        return 0, None
    scaled = view.training_job is not None and known.desired != view.replicas
    reason = REASON_SCALED if scaled else room.reason
    return (known.rescales + 1, reason) if reason else (known.rescales, known.last_rescale_reason)
