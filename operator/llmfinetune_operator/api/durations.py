"""Spans of time as people write them: `12h`, `1h30m`, `90s`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from llmfinetune_trainer.config.run import rules

_PATTERN = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
_PARTS = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")
_MOST = timedelta(hours=8760)
_TOO_LONG = "a duration is at most 8760h, a year: shorten it"
_NOTHING = "must be more than zero, such as 12h or 1h30m"
_WAIT_LEAST, _WAIT_MOST = timedelta(seconds=10), timedelta(hours=24)
_WAIT = "must be from 10s to 24h, such as 2m"


def parse_duration(duration: str) -> timedelta:
    """Convert `1h30m` to a time span.

    Raises:
        ValueError: the text has another form, or is more than a year, as no sum with a date may overflow.
    """
    match = _PARTS.fullmatch(duration)
    if match is None:
        raise ValueError(f"duration {duration!r} has another form than 12h, 1h30m or 90s")
    hours, minutes, seconds = (int(each or 0) for each in match.groups())
    total = (hours * 60 + minutes) * 60 + seconds
    if total > _MOST.total_seconds():
        raise ValueError(_TOO_LONG)
    return timedelta(seconds=total)


def _bounded(value: str) -> str:
    if not parse_duration(value):
        raise ValueError(_NOTHING)
    return value


def _waitable(value: str) -> str:
    if not _WAIT_LEAST <= parse_duration(value) <= _WAIT_MOST:
        raise ValueError(_WAIT)
    return value


Duration = Annotated[
    str,
    Field(
        min_length=2,
        max_length=32,
        pattern=_PATTERN,
        json_schema_extra=rules(
            ("self.matches('[1-9]')", _NOTHING),
            ("duration(self) <= duration('8760h')", _TOO_LONG),
        ),
    ),
    AfterValidator(_bounded),
]
"""Hours, minutes and seconds: `12h`, `1h30m`, `90s`; at most a year."""

Wait = Annotated[
    Duration,
    AfterValidator(_waitable),
    Field(
        json_schema_extra=rules(
            ("duration(self) >= duration('10s') && duration(self) <= duration('24h')", _WAIT)
        )
    ),
]
"""How long to wait for something: a duration from 10s to 24h."""
