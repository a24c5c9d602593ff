"""Changes of the number of workers while they train."""

from llmfinetune_operator.policies.view import View

REASON_SCALED = "Scaled"


def rescales(view: View) -> tuple[int, str | None]:
    """Number and latest reason of rescales, with the one that this cycle brings.

    A rescale is a number of workers other than the one in the stored status while a job is there. The new
    number and the new count are written together, so that each change counts once.
    """
    known = view.previous.workers
    if known is None:
        return 0, None
    if view.training_job is None or known.desired == view.replicas:
        return known.rescales, known.last_rescale_reason
    return known.rescales + 1, REASON_SCALED
