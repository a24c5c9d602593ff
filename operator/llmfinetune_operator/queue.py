"""A work queue as Kubernetes controllers have: level-triggered, de-duplicated, one worker a key.

An event becomes a key; a key waits at most once however many events name it; a key that is being worked on
and named again is worked on once more afterwards, never twice at the same time. What is urgent goes first.
Failures come back after a growing, jittered delay. Nothing here knows Kubernetes. Time comes from the clock
that is passed in.
"""

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from llmfinetune_operator.lanes import Lanes

K = TypeVar("K", bound=Hashable)


class Cancellable(Protocol):
    """A timer that can be called off."""

    def cancel(self) -> object:
        """Call the timer off."""


class Clock(Protocol):
    """Monotonic seconds, and timers on them."""

    def time(self) -> float:
        """Return seconds since some fixed moment."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Cancellable:
        """Call `callback` after `delay` seconds."""


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Seconds after consecutive failures of a key: `first * 2**n` up to `limit`, and up to `jitter` of it."""

    first: float = 0.2
    limit: float = 60.0
    jitter: float = 0.25

    def delay(self, failures: int, random: float) -> float:
        """Return seconds to wait after that many failures (1 or more); `random` is in [0, 1)."""
        doubled = self.first * 2.0 ** min(failures - 1, 32)
        return min(doubled, self.limit) * (1.0 + self.jitter * random)


class ShutDownError(Exception):
    """The queue has been shut down: there will be no further key."""


class WorkQueue(Generic[K]):
    """Hands out keys, each to one worker at a time. Every method but `get` returns at once."""

    def __init__(self, *, clock: Clock, random: Callable[[], float], backoff: Backoff | None = None) -> None:
        self._clock = clock
        self._random = random
        self._backoff = backoff or Backoff()
        self._waiting: Lanes[K] = Lanes()
        self._working: dict[K, float] = {}
        self._again: dict[K, bool] = {}
        self._failures: dict[K, int] = {}
        self._due: dict[tuple[K, bool], float] = {}
        self._delayed: list[tuple[float, int, K, bool]] = []
        self._sequence = 0
        self._timer: Cancellable | None = None
        self._available: deque[asyncio.Future[None]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_shut_down = False

    def __len__(self) -> int:
        """Keys that a worker could take now."""
        return len(self._waiting)

    @property
    def num_urgent(self) -> int:
        """Those of them that are urgent."""
        return self._waiting.num_urgent

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Have the key worked on as soon as a worker is free, before all that is not urgent if it is."""
        if self._is_shut_down:
            return
        if key in self._working:
            self._again[key] = urgent or self._again.get(key, False)
        elif self._waiting.add(key, urgent=urgent, now=self._clock.time()):
            self._wake_worker()

    def add_after(self, key: K, delay: float, *, urgent: bool = False) -> None:
        """Have the key worked on after `delay` seconds; of several delays of one key the earliest counts."""
        if delay <= 0:
            self.add(key, urgent=urgent)
            return
        due = self._clock.time() + delay
        if self._is_shut_down or self._due.get((key, urgent), math.inf) <= due:
            return
        self._due[key, urgent] = due
        self._sequence += 1
        heapq.heappush(self._delayed, (due, self._sequence, key, urgent))
        self._set_timer()

    def retry(self, key: K, *, at_least: float = 0.0) -> float:
        """Count a failure of the key, have it worked on after its back-off, and return those seconds."""
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(at_least, self._backoff.delay(self._failures[key], self._random()))
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Count no failure of the key any more."""
        self._failures.pop(key, None)

    def drop(self, key: K) -> None:
        """Forget everything that is planned for the key."""
        self.forget(key)
        for urgent in (True, False):
            self._due.pop((key, urgent), None)

    async def get(self) -> K:
        """Wait for a key and take it; `done` must follow.

        Raises:
            ShutDownError: the queue was shut down.
        """
        while not self._waiting:
            if self._is_shut_down:
                raise ShutDownError
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._available.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                self._pass_on(waiter)
                raise
        key = self._waiting.pop(self._clock.time())
        self._working[key] = self._clock.time()
        self._idle.clear()
        return key

    def done(self, key: K) -> None:
        """Give a key back; it becomes available again at once where it was named meanwhile."""
        del self._working[key]
        if not self._working:
            self._idle.set()
        if key in self._again:
            self.add(key, urgent=self._again.pop(key))

    async def idle(self) -> None:
        """Wait until no worker holds a key."""
        await self._idle.wait()

    def age(self) -> float:
        """Return for how many seconds a key has waited for a worker, or been held by one, at most."""
        started = min((*self._waiting.moments(), *self._working.values()), default=math.inf)
        return max(0.0, self._clock.time() - started) if started < math.inf else 0.0

    def shut_down(self) -> None:
        """Hand out no further key; workers that wait for one get `ShutDownError`."""
        self._is_shut_down = True
        self._waiting.clear()
        self._again.clear()
        if self._timer is not None:
            self._timer.cancel()
        while self._available:
            self._wake_worker()

    def _wake_worker(self) -> None:
        while self._available:
            waiter = self._available.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _pass_on(self, waiter: "asyncio.Future[None]") -> None:
        """Wake another worker in place of one that was cancelled after it had been woken."""
        if waiter in self._available:
            self._available.remove(waiter)
        elif self._waiting:
            self._wake_worker()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._delayed:
            delay = max(0.0, self._delayed[0][0] - self._clock.time())
            self._timer = self._clock.call_later(delay, self._release_due)

    def _release_due(self) -> None:
        now = self._clock.time()
        while self._delayed and self._delayed[0][0] <= now:
            due, _, key, urgent = heapq.heappop(self._delayed)
            if self._due.get((key, urgent)) == due:
                del self._due[key, urgent]
                self.add(key, urgent=urgent)
        self._timer = None
        self._set_timer()
