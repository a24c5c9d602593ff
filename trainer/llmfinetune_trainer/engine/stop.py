"""Being told to stop: SIGTERM from Kubernetes or torchrun, SIGINT from a terminal."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.errors import RunError, run_error

LEAVE_SECONDS = 15.0
"""How long leaving may take in all: less than what Kubernetes and torchrun wait for before they kill."""
GRACE_SECONDS = LEAVE_SECONDS / 2
"""How long the computation may take to notice; the other half is for saving what it has."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


class StopSignal:
    """Notices signals in a thread of its own, even while the main thread waits inside of a collective.

    Python runs signal handlers in the main thread only, which may be blocked in C++ until a dead peer times
    out; the wake-up descriptor is written in any case. If the main thread has not left after `grace` seconds,
    `on_overdue` runs in this thread, and the process ends, whatever came of it.
    """

    def __init__(self, *, grace: float = GRACE_SECONDS) -> None:
        self.on_overdue: Callable[[], None] = lambda: None
        self._grace = grace
        self._requested = threading.Event()
        self._left = threading.Event()

    def __enter__(self) -> Self:
        reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno())
        self._handlers_before = {number: signal.signal(number, _noted) for number in SIGNALS}
        self._thread = threading.Thread(target=self._watch, args=(reader,), name="stop-signal", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._writer.close()
        self._thread.join()

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._requested.is_set()

    def check(self) -> None:
        """Raises:
        RunError: a signal has come.
        """
        if self.requested:
            raise preempted()

    def _watch(self, reader: socket.socket) -> None:
        with reader:
            is_signal = bool(reader.recv(1))  # nothing is read when the other end is closed
        if not is_signal:
            return
        self._requested.set()
        if self._left.wait(self._grace):
            return
        try:
            self.on_overdue()
        except Exception:
            log.exception("the last finished step is not saved")
        finally:
            os._exit(exit_codes.PREEMPTED)


def preempted() -> RunError:
    """The error that a stop ends with."""
    return run_error(
        "Preempted",
        "Stopped",
        "told to stop; the state of the last finished step is saved",
        hint="training goes on from there when it is started again",
        retryable=True,
        exit_code=exit_codes.PREEMPTED,
    )


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor has told the thread already."""
