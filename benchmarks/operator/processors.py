"""What the processors did while something was measured, and how fast they are: both differ by the run."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.api.operator.process import cpu_seconds

IDLE_FIELDS: Final = slice(3, 5)
COUNTED_FIELDS: Final = slice(0, 8)
"""What follows in /proc/stat is counted in these fields already."""
DOCUMENT: Final = {f"field-{number}": {"names": ["a", "b"], "number": number} for number in range(50)}
ROUNDS: Final = 2000


@dataclass(frozen=True, kw_only=True)
class Moment:
    """How much processor time had been used."""

    at: float
    busy: float
    """Seconds of every program on this machine."""
    programs: Mapping[str, float]
    """Seconds by the name of the program."""

    @classmethod
    def now(cls, pids: Mapping[str, int]) -> Self:
        """Look at these processes, and at the whole machine."""
        programs = {name: cpu_seconds(pid) for name, pid in pids.items()}
        return cls(at=time.monotonic(), busy=busy_seconds(), programs=programs)

    def used_since(self, earlier: Self) -> dict[str, float]:
        """Return the seconds that each program has used in between."""
        return {name: seconds - earlier.programs[name] for name, seconds in self.programs.items()}

    def others_share(self, earlier: Self) -> float:
        """Return the share of this machine that programs which are not measured took in between."""
        others = self.busy - earlier.busy - sum(self.used_since(earlier).values())
        return max(0.0, others) / ((self.at - earlier.at) * (os.cpu_count() or 1))


def busy_seconds() -> float:
    """Return the processor time of everything, that which a host gave to other machines included."""
    fields = [int(each) for each in Path("/proc/stat").read_text().partition("\n")[0].split()[1:]]
    return (sum(fields[COUNTED_FIELDS]) - sum(fields[IDLE_FIELDS])) / os.sysconf("SC_CLK_TCK")


def fixed_work_seconds() -> float:
    """Return the processor time of a fixed piece of work: the less, the faster the machine is now."""
    started = time.process_time()
    for _ in range(ROUNDS):
        json.loads(json.dumps(DOCUMENT))
    return time.process_time() - started
