"""Takes memory beside the training process until the kernel kills that: prints how much it took, in MiB.

Many processes take a little each, so that the training process is the largest when memory runs out.
"""

import mmap
import os
import signal
import time
from pathlib import Path

TRAINER = "trainer-"
"""What training processes are called, followed by the rank."""
MIB = 1 << 20
PIECE = 96 * MIB
MOST_PIECES = 80
SECONDS = 60.0


def main() -> None:
    """Takes one piece after the other; all of it is free again in the end."""
    victim = trainer()
    takers: list[int] = []
    deadline = time.monotonic() + SECONDS
    try:
        while is_alive(victim) and time.monotonic() < deadline:
            if len(takers) < MOST_PIECES:
                takers.append(take())
            time.sleep(0.05)
    finally:
        for taker in takers:
            os.kill(taker, signal.SIGKILL)
    print(len(takers) * PIECE // MIB)


def trainer() -> int:
    """Returns the id of this pod's training process."""
    return next(
        int(entry.name) for entry in Path("/proc").glob("[0-9]*") if name_of(entry).startswith(TRAINER)
    )


def name_of(entry: Path) -> str:
    """Returns what a process is called, nothing when it has ended."""
    try:
        return (entry / "comm").read_text().strip()
    except OSError:
        return ""


def is_alive(process: int) -> bool:
    """Says whether the training process is still there."""
    return name_of(Path("/proc", str(process))).startswith(TRAINER)


def take() -> int:
    """Starts a process that holds one piece of memory, and returns its id."""
    child = os.fork()
    if child == 0:
        held = mmap.mmap(-1, PIECE)
        for offset in range(0, PIECE, mmap.PAGESIZE):
            held[offset] = 1
        signal.pause()
    return child


if __name__ == "__main__":
    main()
