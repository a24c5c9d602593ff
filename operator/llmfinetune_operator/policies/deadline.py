"""`runPolicy.activeDeadline`: the longest active time, across restarts, without suspension and queues."""

from datetime import datetime, timedelta

from llmfinetune_operator.policies.activity import activity, counted_next
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View


def deadline(view: View) -> datetime | None:
    """When the deadline is to be judged again, None where nothing limits the fine-tune or it pauses."""
    left, counted = _left(view), counted_next(view)
    if left is None or counted is None:
        return None
    return min(view.now + left, counted) if left > timedelta() else view.now


def deadline_trouble(view: View) -> Trouble | None:
    """The failure of a fine-tune that took too long."""
    left = _left(view)
    if left is None or left > timedelta():
        return None
    limit = view.spec.run_policy.active_deadline
    return Trouble(
        failure=failure(
            "Deadline",
            "DeadlineExceeded",
            f"the fine-tune was active for longer than runPolicy.activeDeadline ({limit})",
            hint="ask for a longer activeDeadline, more workers or fewer steps",
            retryable=False,
        ),
        final=True,
    )


def _left(view: View) -> timedelta | None:
    span = view.spec.run_policy.active_deadline_span
    return None if span is None else span - timedelta(seconds=activity(view).seconds)
