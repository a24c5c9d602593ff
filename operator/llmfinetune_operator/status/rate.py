"""Limits how often new figures are written. What a person or a program waits for is written at once."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from llmfinetune_operator.policies.view import View

FIGURES = frozenset({"progress", "metrics", "history"})
"""Fields that change with nearly every report."""


class Limited(NamedTuple):
    """The status to write now, and when the rest of it may follow."""

    status: dict[str, Any]
    wake_at: datetime | None = None


def limited(view: View, status: dict[str, Any]) -> Limited:
    """The status, with the stored figures where new ones come too early."""
    stored = dict(view.observed.fine_tune.get("status") or {})
    last = view.observed.last_status_write
    if last is None or not _only_figures_differ(stored, status):
        return Limited(status)
    due = last + timedelta(seconds=view.settings.status_interval_seconds)
    return Limited(stored, due) if view.now < due else Limited(status)


def _only_figures_differ(stored: dict[str, Any], status: dict[str, Any]) -> bool:
    return stored != status and _without_figures(stored) == _without_figures(status)


def _without_figures(status: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if name not in FIGURES}
