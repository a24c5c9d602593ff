"""Signals the training process of a worker's pod: `signal_trainer.py RANK|any SIGNAL`; prints its id."""

import os
import signal
import sys
from pathlib import Path

TRAINER = "llmfinetune_trainer.engine.worker"


def main(rank: str, name: str) -> None:
    """Signals the process of that rank; prints nothing where this pod has none."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_text().split("\0")
            environment = (entry / "environ").read_text().split("\0")
        except OSError:  # it has ended, or belongs to another user
            continue
        ranks = [variable.removeprefix("RANK=") for variable in environment if variable.startswith("RANK=")]
        if TRAINER in command and ranks and rank in {ranks[0], "any"}:
            os.kill(int(entry.name), signal.Signals[name])
            print(entry.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
