"""A file lock, so that two runs never build or change the same thing at once."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from devcluster.errors import BusyError

WAIT_SECONDS = 1800.0


@contextmanager
def exclusive(path: Path, holder: str, *, timeout: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock for the body; wait with a message while another process has it.

    The kernel releases the lock when its holder ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        _acquire(stream, path, holder, timeout)
        stream.seek(0)
        stream.truncate()
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def _acquire(stream: IO[str], path: Path, holder: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    announced = False
    while not _try(stream):
        stream.seek(0)
        owner = stream.read().strip() or "unknown"
        if time.monotonic() > deadline:
            raise BusyError(
                f"{holder} (process {owner}) still holds {path} after {timeout:.0f} s",
                hint=f"wait for it, or end process {owner} if it hangs",
            )
        if not announced:
            print(f"waiting for {holder} (process {owner}) to finish ...", file=sys.stderr, flush=True)
            announced = True
        time.sleep(0.3)


def _try(stream: IO[str]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
