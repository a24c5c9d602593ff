"""What a fault is: how it is injected, how the world becomes healthy again, and what must be seen then."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from demo.kubectl import Object
from tests.chaos.timeline import Moment, Timeline
from tests.chaos.victim import Victim

Action = Callable[[Victim], None]
Back = Callable[[Victim, Moment], float | None]
"""When work had gone on after a moment, by the observer's clock; None while it has not."""


class Change(NamedTuple):
    """What became of a fine-tune since a fault struck it."""

    before: Object
    struck: datetime
    now: Object

    @property
    def workers(self) -> tuple[Object, Object]:
        """What the status told of its workers before, and tells now."""
        return self.before["status"]["workers"], self.now["status"]["workers"]


Told = Callable[[Change], bool]
"""Whether the status tells of the fault."""


def resumed(victim: Victim, moment: Moment) -> float | None:
    """When another start of the trainer had done its first step."""
    step = victim.observer.timeline().next_step(moment, lambda step: step.generation > moment.generation)
    return step.time if step else None


def at_world_size(size: int) -> Back:
    """When the first step was done by so many workers together."""

    def back(victim: Victim, moment: Moment) -> float | None:
        step = victim.observer.timeline().next_step(moment, lambda step: step.world_size == size)
        return step.time if step else None

    return back


def reported(victim: Victim, moment: Moment) -> float | None:
    """When the status told of a step that was done after the moment."""
    step = victim.get().get("status", {}).get("progress", {}).get("step", 0)
    return victim.observer.now() if step > moment.step else None


def silent(_change: Change) -> bool:
    """For faults that leave nothing to tell."""
    return True


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row of the table."""

    name: str
    inject: Action
    arrange: Action = lambda _victim: None
    """Makes true what it needs beside its workers, before training is looked at."""
    heal: Action | None = None
    """Ends the fault. Recovery is measured from its begin where there is one, else from the injection."""
    back: Back = resumed
    told: Told = silent
    limit_s: float | None = None
    """Seconds of recovery that are promised; None where it is only measured."""
    workers: int = 1
    """How many workers train when it is injected."""
    interrupts: bool = True
    """Whether the trainer starts again because of it. It must not where this is False."""
    num_checkpoints_lost: int = 0
    """How many of the newest checkpoints the fault itself destroys."""
    steps: int = 30
    """Steps that training may do meanwhile; sizes the run."""
    embedded_only: bool = False
    """Whether it needs the machine under the cluster."""


def missed_limit(seconds: float, limit_s: float | None) -> str:
    """Says by how much a promised time was missed; empty where it was kept, or none is promised."""
    is_kept = limit_s is None or seconds <= limit_s
    return "" if is_kept else f"took {seconds:.1f} s, where {limit_s:.0f} s are promised"


def broken_promise(fault: Fault, timeline: Timeline, moment: Moment) -> str:
    """Says what is wrong with where the trainer went on after a moment; empty where nothing is."""
    begun = timeline.resumed(moment)
    if not fault.interrupts:
        return f"the trainer started again at step {begun.step}" if begun else ""
    if begun is None:
        return "the trainer did not start again"
    saves = [0, *(save.step for save in timeline.saves if save.time <= moment.time)]
    usable = saves[max(0, len(saves) - 1 - fault.num_checkpoints_lost)]
    if begun.step < usable:
        return f"went on from step {begun.step}, older than the checkpoint of step {usable}"
    return ""
