"""Progress for people: a bar on a terminal, plain lines in a log."""

import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from llmfinetune_trainer.config.messages import Report
from llmfinetune_trainer.report.sink import StepRecord

LOG_INTERVAL = 10.0
"""Seconds between lines that only say how far training is."""


class TerminalBar:
    """A progress bar with phase, loss, tokens per second and remaining time."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("Starting", total=None, facts="")
        self._progress.start()

    def report(self, report: Report, *, urgent: bool) -> None:
        """Redraws."""
        self._progress.update(
            self._task,
            description=phase_line(report),
            total=report.total_steps or None,
            completed=report.step,
            facts=facts_line(report),
        )

    def step(self, record: StepRecord) -> None:
        """Steps are in reports."""

    def close(self) -> None:
        """Leaves the last state of the bar on the screen."""
        self._progress.stop()


class LogLines:
    """One line for every change of phase, checkpoint and end, and for progress every few seconds."""

    def __init__(self, stream: TextIO, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._monotonic = monotonic
        self._said_at = float("-inf")
        self._last = ""

    def report(self, report: Report, *, urgent: bool) -> None:
        """Writes a line where there is something new to say."""
        now = self._monotonic()
        if not urgent and now - self._said_at < LOG_INTERVAL and report.step != report.total_steps:
            return
        of_total = f"/{report.total_steps}" if report.total_steps else ""
        line = f"{phase_line(report)}: step {report.step}{of_total} {facts_line(report)}".rstrip()
        if line != self._last:
            print(line, file=self._stream, flush=True)
            self._said_at, self._last = now, line

    def step(self, record: StepRecord) -> None:
        """Steps are in reports."""

    def close(self) -> None:
        """Nothing is held back."""


def phase_line(report: Report) -> str:
    """The phase, and how much of it is done where steps do not say that."""
    return f"{report.phase} {report.phase_percent} %" if report.phase_percent else report.phase


def facts_line(report: Report) -> str:
    """Loss, evaluation, speed and remaining time, as far as they are known."""
    facts = []
    if report.loss is not None:
        facts.append(f"loss {report.loss:.4f}")
    if report.eval_loss is not None:
        facts.append(f"eval {report.eval_loss:.4f}")
    if report.tokens_per_second is not None:
        facts.append(f"{report.tokens_per_second:.0f} tok/s")
    if report.eta_seconds:
        facts.append(f"ETA {duration(report.eta_seconds)}")
    return " · ".join(facts)


def duration(seconds: int) -> str:
    """Seconds as people say them: `45s`, `12m05s`, `3h07m`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
