"""Signals the training process of a worker's pod: `signal_trainer.py RANK|any SIGNAL`; prints its id."""

import os
import signal
import sys
from pathlib import Path

TRAINER = "trainer-"
"""What training processes are called, followed by the rank."""


def main(rank: str, name: str) -> None:
    """Signals the process of that rank; prints nothing where this pod has none."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found = (entry / "comm").read_text().strip()
        except OSError:  # it has ended
            continue
        if found.startswith(TRAINER) and rank in {found.removeprefix(TRAINER), "any"}:
            os.kill(int(entry.name), signal.Signals[name])
            print(entry.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
