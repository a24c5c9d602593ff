"""Tells a waiting person what is being done: step n of m, elapsed time, a sign of life when it takes long."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

HEARTBEAT_SECONDS = 20.0


def duration(seconds: float) -> str:
    """Return seconds as a person says them."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """Prints numbered steps to standard error, so that standard output stays for results."""

    def __init__(self, total: int, *, stream: TextIO | None = None) -> None:
        self._total = total
        self._current = 0
        self._stream = stream or sys.stderr
        self._started = time.monotonic()

    def note(self, text: str) -> None:
        """Print a line that belongs to no step."""
        print(text, file=self._stream, flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, show that it is alive while it lasts, and say how long it took."""
        self._current += 1
        self._total = max(self._total, self._current)
        label = f"[{self._current}/{self._total}] {title}"
        self.note(f"{label} ...")
        started = time.monotonic()
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(label, started, done), daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            beat.join()
        took = duration(time.monotonic() - started)
        self.note(f"{label}: {took} (in all {duration(time.monotonic() - self._started)})")

    def _beat(self, label: str, started: float, done: threading.Event) -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            self.note(f"{label}: still at it after {duration(time.monotonic() - started)}")
