"""The latest report of each fine-tune, and how often one may report."""

from collections.abc import Callable, Iterator
from datetime import datetime

from llmfinetune_operator.observed import Key, ReceivedReport
from llmfinetune_operator.resources import names
from llmfinetune_trainer.config.messages import Report


class Reports:
    """Keeps one report a fine-tune. What a later report of the same attempt leaves out stays known."""

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._latest: dict[Key, ReceivedReport] = {}

    def latest(self, key: Key) -> ReceivedReport | None:
        """Return the latest report and when it came."""
        return self._latest.get(key)

    def receive(self, key: Key, report: Report) -> bool:
        """Take a report in, and say whether it said anything new."""
        known = self._latest.get(key)
        latest = self._latest[key] = received(known, report, now=self._clock())
        return known is None or known.report != latest.report

    def forget(self, key: Key) -> None:
        """Drop what was reported about a fine-tune that is gone."""
        self._latest.pop(key, None)

    def __iter__(self) -> Iterator[Key]:
        """Go through the fine-tunes that have reported."""
        return iter(list(self._latest))


def received(known: ReceivedReport | None, report: Report, *, now: datetime) -> ReceivedReport:
    """Return what is known once a report has come; one of an earlier attempt comes too late."""
    if known is None:
        return ReceivedReport(report=report, received_at=now, advanced_at=now)
    if names.is_earlier(report.attempt, known.report.attempt):
        return known
    merged = merge(known.report, report)
    is_further = _position(merged) != _position(known.report)
    return ReceivedReport(
        report=merged, received_at=now, advanced_at=now if is_further else known.advanced_at
    )


def _position(report: Report) -> tuple[object, ...]:
    return report.attempt, report.restarts, report.phase, report.phase_percent, report.step


def merge(known: Report, later: Report) -> Report:
    """Return the later report, completed with what it leaves out; another attempt starts anew.

    A failure is not carried along: whoever reports after it has started again.
    """
    if known.attempt != later.attempt:
        return later
    said = {name: getattr(later, name) for name in later.model_fields_set if getattr(later, name) is not None}
    return known.model_copy(update={"failure": None, **said})


class RateLimit:
    """A token bucket for each fine-tune: `burst` reports at once, `per_second` lastingly."""

    def __init__(self, *, per_second: float, burst: int, time: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._time = time
        self._buckets: dict[Key | None, tuple[float, float]] = {}

    def allows(self, key: Key | None) -> bool:
        """Take one permission for the key, and say whether there was one."""
        now = self._time()
        level, since = self._buckets.get(key, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._per_second)
        self._buckets[key] = (level - 1.0 if level >= 1.0 else level, now)
        return level >= 1.0

    def forget(self, key: Key) -> None:
        """Drop the bucket of a fine-tune that is gone."""
        self._buckets.pop(key, None)
