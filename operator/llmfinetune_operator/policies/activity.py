"""How long a fine-tune has been active: by the operator's own clock, over every restart, without pauses and
without waits for a queue.

The status holds seconds and as of when they were counted; they are counted on with every status that is
written anyway. A gap that no operator can have slept through is one in which it was away, or its clock was
set: it counts for nothing, so that a clock that jumps ends no healthy fine-tune.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from llmfinetune_operator.policies.view import View
from llmfinetune_operator.times import format_time, parse_time

COUNTED_EVERY = timedelta(minutes=10)
"""How often time is written down where `runPolicy.activeDeadline` depends on it and nothing else happens."""
LONGEST_GAP = timedelta(minutes=15)
FIELDS = ("activeSeconds", "activeTime")
"""What of the status is about this alone."""


class Activity(NamedTuple):
    """Active time so far."""

    seconds: int
    counted_at: str | None
    """As of when, None while the fine-tune is not active."""


def activity(view: View) -> Activity:
    """The active time, counted up to now."""
    seconds = (view.previous.active_seconds or 0) + _gap(view)
    return Activity(seconds, None if view.is_paused else format_time(view.now))


def is_to_be_counted(view: View) -> bool:
    """Whether the time is to be written down though nothing else has changed."""
    since = parse_time(view.previous.active_time)
    if view.spec.run_policy.active_deadline_span is None or since is None:
        return False
    return abs(view.now - since) >= COUNTED_EVERY


def counted_next(view: View) -> datetime | None:
    """When the time is to be written down at the latest, None where nothing depends on it."""
    if view.spec.run_policy.active_deadline_span is None or view.is_paused:
        return None
    since = parse_time(view.previous.active_time)
    return view.now + COUNTED_EVERY if since is None or is_to_be_counted(view) else since + COUNTED_EVERY


def _gap(view: View) -> int:
    since = parse_time(view.previous.active_time)
    gap = view.now - since if since is not None else timedelta()
    return int(gap.total_seconds()) if timedelta() <= gap <= LONGEST_GAP else 0
