"""When workers that failed are tried again."""

from datetime import datetime, timedelta

from llmfinetune_operator.policies.view import View
from llmfinetune_operator.times import parse_time


def retry_at(view: View, failures_before: int) -> datetime:
    """When to try again after a failure now: waits double with each in a row, up to the longest."""
    delay = view.settings.retry_delay_seconds * 2.0 ** min(failures_before, 30)
    return view.now + timedelta(seconds=min(delay, view.settings.retry_delay_max_seconds))


def waits_until(view: View) -> datetime | None:
    """Until when the status says that workers wait for another try, None where they do not.

    What is further away than the longest wait was written before the clock was set back, and is over.
    """
    workers = view.previous.workers
    due = parse_time(workers.next_start_time) if workers else None
    longest = timedelta(seconds=view.settings.retry_delay_max_seconds)
    return min(due, view.now) if due is not None and due - view.now > longest else due
