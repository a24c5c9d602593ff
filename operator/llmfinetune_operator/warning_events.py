"""Warning events, read for a whole namespace at once: any question has the API server go through all of them.

Fine-tunes that ask shortly after each other share one answer.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from llmfinetune_operator.observed import Object

SHARED: Final = timedelta(seconds=3)
"""How long an answer is given to others."""
KEPT: Final = frozenset({"involvedObject", "reason", "message", "lastTimestamp", "eventTime", "series"})


class WarningReader(Protocol):
    """Reads from the API server."""

    async def warnings(self, namespace: str) -> list[Object]:
        """Return every warning event in a namespace."""


@dataclass
class _Answer:
    """The warnings of one namespace by the uid of what they are about, and when they were read."""

    read_at: datetime | None = None
    by_uid: dict[str, list[Object]] = field(default_factory=dict)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Warnings:
    """Answers what warnings there are about objects."""

    def __init__(self, reader: WarningReader, *, clock: Callable[[], datetime]) -> None:
        self._reader = reader
        self._clock = clock
        self._answers: dict[str, _Answer] = {}

    async def about(self, namespace: str, uids: Iterable[str]) -> tuple[Object, ...]:
        """Return the warnings about these objects, at most a few seconds old.

        Raises:
            ApiError: they could not be read.
        """
        self._forget_old()
        answer = self._answers.setdefault(namespace, _Answer())
        async with answer.reading:
            if answer.read_at is None:
                answer.by_uid = _by_uid(await self._reader.warnings(namespace))
                answer.read_at = self._clock()
        return tuple(warning for uid in sorted(uids) for warning in answer.by_uid.get(uid, ()))

    def _forget_old(self) -> None:
        now, answers = self._clock(), self._answers.items()
        old = [name for name, each in answers if each.read_at and abs(now - each.read_at) > SHARED]
        for name in old:
            del self._answers[name]


def _by_uid(warnings: Iterable[Object]) -> dict[str, list[Object]]:
    by_uid: defaultdict[str, list[Object]] = defaultdict(list)
    for warning in warnings:
        slim = {name: value for name, value in warning.items() if name in KEPT}
        by_uid[str((warning.get("involvedObject") or {}).get("uid"))].append(slim)
    return by_uid
