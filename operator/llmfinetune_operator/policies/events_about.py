"""Reads warning events."""

from collections.abc import Collection, Iterable

from llmfinetune_operator.observed import Object


def about(obj: Object, events: Iterable[Object], *, reasons: Collection[str]) -> list[str]:
    """Messages of the events with these reasons about one object, the latest last."""
    uid = obj["metadata"].get("uid")
    found = [
        event
        for event in events
        if event.get("involvedObject", {}).get("uid") == uid and event.get("reason") in reasons
    ]
    found.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [str(event.get("message", "")) for event in found]
