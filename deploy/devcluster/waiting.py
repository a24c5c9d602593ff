"""Waits for a condition with a deadline, and fails with words when the deadline passes."""

import time
from collections.abc import Callable

from devcluster.errors import NotReadyInTimeError


def wait_until(
    what: str,
    is_true: Callable[[], bool],
    *,
    timeout: float,
    interval: float = 0.2,
    hint: str = "",
    check: Callable[[], None] = lambda: None,
) -> None:
    """Poll until `is_true`; `check` may raise early, for example when the watched process has ended."""
    deadline = time.monotonic() + timeout
    while not is_true():
        check()
        if time.monotonic() > deadline:
            raise NotReadyInTimeError(f"{what}: not so after {timeout:.0f} s", hint=hint)
        time.sleep(interval)
