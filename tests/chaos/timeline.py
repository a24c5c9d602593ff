"""When the steps of a fine-tune were computed, and what a fault between them cost. Pure."""

import json
from collections.abc import Callable
from typing import NamedTuple, Self


class Step(NamedTuple):
    """A step, as it was computed: one that had to be computed again appears twice."""

    time: float
    """Seconds since 1970 by the clock of the node."""
    generation: int
    """Counts the starts of the trainer that reached its history."""
    step: int
    world_size: int


class Resumption(NamedTuple):
    """A trainer began."""

    time: float
    generation: int
    step: int
    """The step it went on from."""


class Save(NamedTuple):
    """A checkpoint became the newest."""

    time: float
    step: int


class Moment(NamedTuple):
    """How far training was at one time."""

    time: float
    generation: int
    step: int
    saved: int
    """Step of the newest checkpoint."""


class Timeline(NamedTuple):
    """Everything that was seen, in order."""

    steps: tuple[Step, ...]
    resumptions: tuple[Resumption, ...]
    saves: tuple[Save, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `in_pod/watch_history.py` printed."""
        lines = [json.loads(line) for line in text.splitlines()]
        return cls(
            steps=tuple(
                Step(line["time"], line["generation"], line["step"], line["world"])
                for line in lines
                if "step" in line
            ),
            resumptions=tuple(
                Resumption(line["time"], line["generation"], line["resumed"])
                for line in lines
                if "resumed" in line
            ),
            saves=tuple(Save(line["time"], line["saved"]) for line in lines if "saved" in line),
        )

    def at(self, time: float) -> Moment:
        """How far training was at a time."""
        seen = Timeline(
            tuple(step for step in self.steps if step.time <= time),
            tuple(begun for begun in self.resumptions if begun.time <= time),
            tuple(save for save in self.saves if save.time <= time),
        )
        return Moment(
            time=time,
            generation=seen.resumptions[-1].generation if seen.resumptions else 0,
            step=seen.last(),
            saved=seen.saves[-1].step if seen.saves else 0,
        )

    def next_step(self, moment: Moment, holds: Callable[[Step], bool] = lambda _: True) -> Step | None:
        """The first step after a moment of which something holds."""
        return next((step for step in self.steps if step.time > moment.time and holds(step)), None)

    def resumed(self, moment: Moment) -> Resumption | None:
        """The first start of the trainer after a moment."""
        return next((begun for begun in self.resumptions if begun.generation > moment.generation), None)

    def last(self) -> int:
        """The step computed last."""
        begun = self.resumptions[-1] if self.resumptions else None
        if self.steps and begun and self.steps[-1].generation == begun.generation:
            return self.steps[-1].step
        return begun.step if begun else 0
