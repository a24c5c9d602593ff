"""Keys that wait for a worker of the queue: urgent ones first, but none waits for ever behind them."""

from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

PATIENCE_SECONDS: Final = 10.0
"""A key that has waited for so long takes turns with the urgent ones."""
MOST_IN_A_ROW: Final = 3
"""Urgent keys that go before such a one. If all who have waited went first, nothing new would be begun."""


class Lanes(Generic[K]):
    """Each key waits once, in the order in which it was named."""

    def __init__(self) -> None:
        self._urgent: dict[K, float] = {}
        self._patient: dict[K, float] = {}
        self._in_a_row = 0

    def __len__(self) -> int:
        """Keys that wait."""
        return len(self._urgent) + len(self._patient)

    @property
    def num_urgent(self) -> int:
        """Keys that wait in the urgent lane."""
        return len(self._urgent)

    def moments(self) -> Iterator[float]:
        """Go through the times from which on the keys have waited."""
        yield from self._urgent.values()
        yield from self._patient.values()

    def add(self, key: K, *, urgent: bool, now: float) -> bool:
        """Have the key wait, and say whether it did not yet; one that is urgent by now changes its lane."""
        if key in self._urgent or (key in self._patient and not urgent):
            return False
        since = self._patient.pop(key, None)
        (self._urgent if urgent else self._patient)[key] = now if since is None else since
        return since is None

    def pop(self, now: float) -> K:
        """Take the key whose turn it is.

        Raises:
            StopIteration: none waits.
        """
        waited = now - next(iter(self._patient.values()), now)
        is_its_turn = waited >= PATIENCE_SECONDS and self._in_a_row >= MOST_IN_A_ROW
        lane = self._patient if not self._urgent or is_its_turn else self._urgent
        self._in_a_row = 0 if lane is self._patient else self._in_a_row + 1
        key = next(iter(lane))
        del lane[key]
        return key

    def clear(self) -> None:
        """Let no key wait."""
        self._urgent.clear()
        self._patient.clear()
