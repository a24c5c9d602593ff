"""RFC 3339 times in UTC, as Kubernetes writes them."""

from datetime import UTC, datetime


def parse_time(text: str | None) -> datetime | None:
    """The time that an object's field tells, None where the field is absent."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def format_time(time: datetime) -> str:
    """A time to the second, as Kubernetes stores it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
