"""The operator with a clock that a test sets: run as a program in place of the operator's own.

Only its wall clock moves. Waits go by the monotonic clock, which nobody can set on a real machine either.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from llmfinetune_operator import main, process

AHEAD = "TEST_SECONDS_AHEAD"
"""Names a file that tells by how much the operator's clock is ahead of the machine's."""


class MovedClock(NamedTuple):
    """The clock, in the hands of a test. It is right until it is set."""

    file: Path

    @property
    def environment(self) -> dict[str, str]:
        """What tells the operator of it."""
        return {AHEAD: str(self.file)}

    def set(self, ahead: timedelta) -> None:
        """Set it, at once and whole."""
        new = self.file.with_suffix(".new")
        new.write_text(str(ahead.total_seconds()))
        new.replace(self.file)


def utc_now() -> datetime:
    """Return the time as the operator is to see it."""
    file = Path(os.environ[AHEAD])
    return datetime.now(UTC) + timedelta(seconds=float(file.read_text()) if file.exists() else 0.0)


if __name__ == "__main__":
    process.utc_now = utc_now
    main.main()
