"""From the records of a run to its table. Pure."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tests.chaos.record import Record

BEGIN, END = "<!-- chaos:begin -->", "<!-- chaos:end -->"


class Row(NamedTuple):
    """What came of one fault in all its injections."""

    fault: str
    injected: int
    survived: int
    recovery_p50_s: float | None
    recovery_p95_s: float | None
    samples_lost: int
    samples_repeated: int

    def to_json(self) -> dict[str, Any]:
        """For `result.json`."""
        return self._asdict()


def rows(records: Iterable[Record]) -> list[Row]:
    """One row for each fault, in the order of their first injections."""
    by_fault: dict[str, list[Record]] = {}
    for each in records:
        by_fault.setdefault(each.fault, []).append(each)
    return [_row(fault, found) for fault, found in by_fault.items()]


def markdown(table: Sequence[Row]) -> str:
    """The table as it stands in the documentation."""
    head = ["fault", "injected", "survived", "recovery p50, s", "p95, s", "samples lost", "samples repeated"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    lines += [[_shown(value) for value in row] for row in table]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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


def _row(fault: str, records: Sequence[Record]) -> Row:
    seconds = [each.recovery_s for each in records if each.recovery_s is not None]
    return Row(
        fault=fault,
        injected=sum(each.injected for each in records),
        survived=sum(each.injected for each in records if each.survived),
        recovery_p50_s=percentile(seconds, 0.50),
        recovery_p95_s=percentile(seconds, 0.95),
        samples_lost=sum(each.samples_lost for each in records),
        samples_repeated=sum(each.samples_repeated for each in records),
    )


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return "-" if value is None else str(value)
