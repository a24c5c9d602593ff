"""From the records of a run to its table. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.chaos.record import Record

BEGIN, END = "<!-- chaos:begin -->", "<!-- chaos:end -->"


class Row(NamedTuple):
    """What came of one fault in all its injections."""

    fault: str
    injected: int
    missed: int
    """How many more times it was to be injected."""
    survived: int
    recovery_p50_s: float | None
    recovery_p95_s: float | None
    samples_lost: int | None
    """None where they were never counted."""
    samples_repeated: int | None
    why: tuple[str, ...] = ()
    """What did not hold."""

    @property
    def is_sound(self) -> bool:
        """Whether it was injected as often as it was to be, and nothing was broken by it."""
        is_whole = not self.missed and self.injected == self.survived
        return is_whole and not self.samples_lost and not self.samples_repeated

    def to_json(self) -> dict[str, Any]:
        """For `result.json`."""
        return self._asdict()


def rows(records: Iterable[Record], *, wanted: Mapping[str, int]) -> list[Row]:
    """One row for each fault, in the order of their first injections; in the end those never injected.

    `wanted` tells how often faults were to be injected in all.
    """
    by_fault: dict[str, list[Record]] = {}
    for each in records:
        by_fault.setdefault(each.fault, []).append(each)
    for fault in wanted:
        by_fault.setdefault(fault, [])
    return [_row(fault, found, wanted=wanted.get(fault, 0)) for fault, found in by_fault.items()]


def markdown(table: Sequence[Row]) -> str:
    """The table as it stands in the documentation, and below it what did not hold."""
    head = ["fault", "injected", "survived", "recovery p50, s", "p95, s", "samples lost", "samples repeated"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    lines += [_cells(row) for row in table]
    told = [f"- {row.fault}: {' '.join(why.split())}" for row in table for why in row.why]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), *([""] if told else []), *told])


def put_between_marks(page: str, text: str) -> str:
    """The page with the text in place of what stood between the marks.

    Raises:
        ValueError: the marks are not there.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of all values does not exceed; None of no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _row(fault: str, records: Sequence[Record], *, wanted: int) -> Row:
    seconds = [each.recovery_s for each in records if each.recovery_s is not None]
    injected = sum(each.injected for each in records)
    return Row(
        fault=fault,
        injected=injected,
        missed=max(0, wanted - injected),
        survived=sum(each.injected for each in records if each.survived),
        recovery_p50_s=percentile(seconds, 0.50),
        recovery_p95_s=percentile(seconds, 0.95),
        samples_lost=_sum(each.samples_lost for each in records),
        samples_repeated=_sum(each.samples_repeated for each in records),
        why=tuple(dict.fromkeys(each.why for each in records if each.why)),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    counted = [count for count in counts if count is not None]
    return sum(counted) if counted else None


def _cells(row: Row) -> list[str]:
    injected = f"{row.injected} of {row.injected + row.missed}" if row.missed else row.injected
    seconds, samples = (row.recovery_p50_s, row.recovery_p95_s), (row.samples_lost, row.samples_repeated)
    return [_shown(value) for value in (row.fault, injected, row.survived, *seconds, *samples)]


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return "-" if value is None else str(value)
