"""What the demonstration prints at its end."""

from typing import Any

from demo.answers import Answer

WIDTH = 100


def heading(title: str) -> str:
    """Returns a title over what follows."""
    return f"\n== {title} " + "=" * max(0, WIDTH - len(title) - 4)


def show_answers(answers: list[Answer]) -> str:
    """Returns questions with the answers before and after."""
    blocks = [f"Q: {a.question}\n  before: {_short(a.before)}\n  after:  {_short(a.after)}" for a in answers]
    return "\n\n".join(blocks)


def closing_line(fine_tune: dict[str, Any], *, seconds: float) -> str:
    """Returns the one line that says how it ended."""
    status = fine_tune["status"]
    steps = status["progress"]["step"]
    metrics = status["metrics"]
    loss = f"{metrics['evalLossBefore']}→{metrics['evalLoss']}"
    adapter = status["output"]["adapter"]
    return f"demo: {status['phase']} steps={steps} loss={loss} adapter={adapter} seconds={seconds:.0f}"


def _short(text: str, limit: int = 300) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
