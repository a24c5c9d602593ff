"""Jobs whose pods the API server refuses: for a quota, a PriorityClass, Pod Security or a webhook."""

from collections.abc import Iterable

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies.events_about import about
from llmfinetune_operator.policies.trouble import Trouble, failure

_REASONS = {"FailedCreate", "FailedCreatePod"}
_HINT = (
    "correct what the message names: a quota of the namespace, runPolicy.priorityClassName, "
    "workers.resources; it is tried again by itself"
)


def refused_pods(job: Object | None, events: Iterable[Object]) -> str | None:
    """Why a job's pods are not made, in the API server's words, None where nothing is known."""
    told = about(job, events, reasons=_REASONS) if job is not None else []
    return told[-1] if told else None


def refused_pods_trouble(job: Object | None, events: Iterable[Object]) -> Trouble | None:
    """The trouble of a job without pods."""
    message = refused_pods(job, events)
    if message is None:
        return None
    return Trouble(
        failure=failure(
            "Scheduling",
            "PodsRefused",
            f"the API server takes no pods of this fine-tune: {message}",
            hint=_HINT,
            retryable=True,
        )
    )
