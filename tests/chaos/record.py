"""Notes what came of each injected fault, so that `make chaos` can put all suites into one table."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

RECORDS = "LLMFINETUNE_CHAOS_RECORDS"
"""Names the file that records are appended to; without it nothing is noted."""
SEED = "LLMFINETUNE_CHAOS_SEED"
"""Tells the seed of the run, which its records keep."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What came of injecting one fault."""

    fault: str
    """The fault's name: one row of the table."""
    survived: bool
    """Whether every invariant held."""
    why: str = ""
    """Which one did not."""
    recovery_s: float | None = None
    """Seconds from the fault until work went on; None where the fault stops nothing."""
    injected: int = 1
    """How many times it was injected in this run."""
    samples_lost: int | None = None
    """None where samples were not counted."""
    samples_repeated: int | None = None
    seed: int | None = None
    number: int | None = None
    """Its place in the file of records, from 1."""


def record(noted: Record) -> None:
    """Appends one JSON line to the file of records, if one is asked for."""
    if path := os.environ.get(RECORDS):
        number, seed = len(read_records(Path(path))) + 1, os.environ.get(SEED)
        noted = replace(noted, number=number, seed=int(seed) if seed else None)
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(noted)) + "\n")


def read_records(path: Path) -> list[Record]:
    """Reads the records of a run; none where the file is not there."""
    if not path.exists():
        return []
    return [Record(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
