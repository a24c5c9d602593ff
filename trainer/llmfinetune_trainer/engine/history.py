"""The loss curve in few points: means over equal runs of steps, merged in pairs when they become too many."""

from typing import Any, Self

from llmfinetune_trainer.config.messages import MAX_HISTORY, HistoryPoint


class LossHistory:
    """At most `MAX_HISTORY` points over the whole run, however long it becomes."""

    def __init__(self) -> None:
        self._stride = 1
        self._points: list[tuple[int, float]] = []
        self._open: list[float] = []

    @property
    def points(self) -> list[HistoryPoint]:
        """Last step and mean loss of each run of steps."""
        return [HistoryPoint(step=step, loss=loss) for step, loss in self._points]

    def add(self, step: int, loss: float) -> None:
        """Takes in the loss of one step."""
        self._open.append(loss)
        if len(self._open) < self._stride:
            return
        self._points.append((step, sum(self._open) / len(self._open)))
        self._open = []
        if len(self._points) == MAX_HISTORY:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [(last, (first_loss + loss) / 2) for (_, first_loss), (last, loss) in pairs]
            self._stride *= 2

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"stride": self._stride, "points": list(self._points), "open": list(self._open)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """From a checkpoint."""
        history = cls()
        history._stride = value["stride"]
        history._points = [(step, loss) for step, loss in value["points"]]
        history._open = list(value["open"])
        return history
