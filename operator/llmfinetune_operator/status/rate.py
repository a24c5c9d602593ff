"""Limits how often new figures are written, and how fast conditions follow each other within a phase.

What a person or a program waits for, a phase or a failure, is written at once.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from llmfinetune_operator.policies.activity import FIELDS, is_to_be_counted
from llmfinetune_operator.policies.view import View

FIGURES = frozenset({"progress", "metrics", "history"})
"""Fields that change with nearly every report."""
IN_MOTION = FIGURES | set(FIELDS)
CONDITIONS_SECONDS: Final = 2.0
"""How long conditions wait for the phase that most often comes next, so that both are one write."""


class Limited(NamedTuple):
    """The status to write now, and when the rest of it may follow."""

    status: dict[str, Any]
    wake_at: datetime | None = None


def limited(view: View, status: dict[str, Any]) -> Limited:
    """The status, with the stored figures where new ones come too early."""
    stored = dict(view.observed.fine_tune.get("status") or {})
    if _without(stored, FIELDS) == _without(status, FIELDS) and _is_counted_alike(view, stored, status):
        return Limited(stored)
    last, interval = view.observed.last_status_write, _interval(view, stored, status)
    if last is None or last > view.now or interval is None:
        return Limited(status)  # the last write lies ahead where the clock was set back
    due = last + timedelta(seconds=interval)
    return Limited(stored, due) if view.now < due else Limited(status)


def _interval(view: View, stored: dict[str, Any], status: dict[str, Any]) -> float | None:
    """Seconds that lie between the last write and this one at least; None for what cannot wait."""
    changed = {name for name in stored.keys() | status.keys() if stored.get(name) != status.get(name)}
    if changed <= IN_MOTION:
        return view.settings.status_interval_seconds
    return CONDITIONS_SECONDS if changed <= IN_MOTION | {"conditions"} else None


def _is_counted_alike(view: View, stored: dict[str, Any], status: dict[str, Any]) -> bool:
    """Whether the active time can wait to be written down until something else is."""
    pauses_alike = ("activeTime" in stored) == ("activeTime" in status)
    return pauses_alike and not is_to_be_counted(view)


def _without(status: dict[str, Any], fields: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if name not in fields}
