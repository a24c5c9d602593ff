"""`runPolicy.activeDeadline`: the longest time from the start to the end, by our clock, across restarts."""

from datetime import datetime

from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.times import parse_time


def deadline(view: View) -> datetime | None:
    """When the fine-tune must have ended, None where nothing limits it or it has not begun."""
    span = view.spec.run_policy.active_deadline_span
    start = parse_time(view.previous.start_time)
    return start + span if span and start else None


def deadline_trouble(view: View) -> Trouble | None:
    """The failure of a fine-tune that took too long. Times of suspension count."""
    ends_at = deadline(view)
    if ends_at is None or view.now < ends_at:
        return None
    limit = view.spec.run_policy.active_deadline
    return Trouble(
        failure=failure(
            "Deadline",
            "DeadlineExceeded",
            f"the fine-tune has not ended within runPolicy.activeDeadline ({limit})",
            hint="apply it anew with a longer activeDeadline, more workers or fewer steps",
            retryable=False,
        ),
        final=True,
    )
