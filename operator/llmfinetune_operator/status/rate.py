"""Limits how often new figures are written. What a person or a program waits for is written at once."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from llmfinetune_operator.policies.activity import FIELDS, is_to_be_counted
from llmfinetune_operator.policies.view import View

FIGURES = frozenset({"progress", "metrics", "history"})
"""Fields that change with nearly every report."""
IN_MOTION = FIGURES | set(FIELDS)


class Limited(NamedTuple):
    """The status to write now, and when the rest of it may follow."""

    status: dict[str, Any]
    wake_at: datetime | None = None


def limited(view: View, status: dict[str, Any]) -> Limited:
    """The status, with the stored figures where new ones come too early."""
    stored = dict(view.observed.fine_tune.get("status") or {})
    if _without(stored, FIELDS) == _without(status, FIELDS) and _is_counted_alike(view, stored, status):
        return Limited(stored)
    last = view.observed.last_status_write
    if last is None or last > view.now or not _only_figures_differ(stored, status):
        return Limited(status)  # the last write lies ahead where the clock was set back
    due = last + timedelta(seconds=view.settings.status_interval_seconds)
    return Limited(stored, due) if view.now < due else Limited(status)


def _only_figures_differ(stored: dict[str, Any], status: dict[str, Any]) -> bool:
    return stored != status and _without(stored, IN_MOTION) == _without(status, IN_MOTION)


def _is_counted_alike(view: View, stored: dict[str, Any], status: dict[str, Any]) -> bool:
    """Whether the active time can wait to be written down until something else is."""
    pauses_alike = ("activeTime" in stored) == ("activeTime" in status)
    return pauses_alike and not is_to_be_counted(view)


def _without(status: dict[str, Any], fields: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if name not in fields}
