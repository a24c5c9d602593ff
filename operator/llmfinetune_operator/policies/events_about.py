"""Reads warning events."""

from collections.abc import Collection, Iterable
from datetime import datetime

from llmfinetune_operator.observed import Object
from llmfinetune_operator.times import parse_time


def about(
    obj: Object, events: Iterable[Object], *, reasons: Collection[str], since: datetime | None = None
) -> list[str]:
    """Messages of the events with these reasons about one object, the latest last; with `since`, of those
    that happened again after it."""
    uid = obj["metadata"].get("uid")
    found = [
        event
        for event in events
        if event.get("involvedObject", {}).get("uid") == uid and event.get("reason") in reasons
    ]
    found.sort(key=_last_time)
    return [str(event.get("message", "")) for event in found if since is None or _is_after(event, since)]


def _last_time(event: Object) -> str:
    """When it happened last, in either of the two ways in which components tell it."""
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or "")


def _is_after(event: Object, since: datetime) -> bool:
    time = parse_time(_last_time(event))
    return time is None or time > since
