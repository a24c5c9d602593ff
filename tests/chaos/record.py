"""Notes what came of each injected fault, so that `make chaos` can put all suites into one table."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

RECORDS = "LLMFINETUNE_CHAOS_RECORDS"
"""Names the file that records are appended to; without it nothing is noted."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What came of injecting one fault."""

    fault: str
    """The fault's name: one row of the table."""
    survived: bool
    """Whether every invariant held."""
    recovery_s: float | None = None
    """Seconds from the fault until work went on; None where the fault stops nothing."""
    injected: int = 1
    """How many times it was injected in this run."""
    samples_lost: int = 0
    samples_repeated: int = 0


def record(noted: Record) -> None:
    """Appends one JSON line to the file of records, if one is asked for."""
    if path := os.environ.get(RECORDS):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(noted)) + "\n")


def read_records(path: Path) -> list[Record]:
    """Reads the records of a run; none where the file is not there."""
    if not path.exists():
        return []
    return [Record(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
