"""Follows one fine-tune to its end and says what happens, as lines that also make sense in a log."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from demo.kubectl import Namespace

POLL_SECONDS = 2.0
BAR_WIDTH = 24


class FineTuneFailedError(RuntimeError):
    """The fine-tune ended without success; the message is its `status.failure`."""


class Line(NamedTuple):
    """What one line shows; two equal ones are printed once."""

    phase: str
    step: int
    total: int
    percent: int
    loss: str
    eta: int | None
    note: str


def read_line(fine_tune: dict[str, Any]) -> Line:
    """Returns what there is to say about a fine-tune as stored."""
    status = fine_tune.get("status", {})
    progress, metrics = status.get("progress", {}), status.get("metrics", {})
    return Line(
        phase=status.get("phase", "Pending"),
        step=progress.get("step", 0),
        total=progress.get("totalSteps", 0),
        percent=progress.get("percent", 0),
        loss=metrics.get("loss", ""),
        eta=progress.get("etaSeconds"),
        note=_ready_message(status),
    )


def render(line: Line, elapsed: float) -> str:
    """Returns a line of text."""
    filled = BAR_WIDTH * line.percent // 100
    bar = "#" * filled + "." * (BAR_WIDTH - filled)
    step = f"step {line.step}/{line.total}" if line.total else ""
    loss = f"loss {line.loss}" if line.loss else ""
    eta = f"eta {line.eta}s" if line.eta is not None and line.phase == "Training" else ""
    parts = [f"{elapsed:5.0f}s", f"{line.phase:<10}", f"[{bar}] {line.percent:3d}%", step, loss, eta]
    note = line.note if line.phase in {"Pending", "Preparing"} else ""
    return "  ".join(part for part in [*parts, note] if part)


def follow(
    namespace: Namespace, name: str, *, timeout: float, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Polls until the fine-tune succeeded and returns it.

    Raises:
        FineTuneFailedError: it failed.
        TimeoutError: it took longer than `timeout` seconds.
    """
    started = time.monotonic()
    last: Line | None = None
    while (elapsed := time.monotonic() - started) < timeout:
        fine_tune = namespace.get("llmfinetune", name)
        line = read_line(fine_tune)
        if last is None or line._replace(eta=None) != last._replace(eta=None):
            say(render(line, elapsed))
            last = line
        if line.phase == "Succeeded":
            return fine_tune
        if line.phase == "Failed":
            raise FineTuneFailedError(describe_failure(fine_tune))
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"{name} is still {last.phase if last else 'unknown'} after {timeout:.0f} s")


def describe_failure(fine_tune: dict[str, Any]) -> str:
    """Returns what a status says about a failure, and the way out."""
    failure = fine_tune.get("status", {}).get("failure", {})
    shown = [f"{failure.get('category', 'Unknown')}: {failure.get('message', 'no message')}"]
    shown += [f"hint: {failure['hint']}"] if failure.get("hint") else []
    shown += [failure["logTail"]] if failure.get("logTail") else []
    return "\n".join(shown)


def _ready_message(status: dict[str, Any]) -> str:
    ready = [c for c in status.get("conditions", []) if c.get("type") == "Ready"]
    return str(ready[0].get("message", "")) if ready else ""
