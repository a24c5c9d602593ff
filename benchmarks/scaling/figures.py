"""What is measured, and the figures that follow. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all ranks of one group read."""

    model: str
    data: str
    output: str
    cores: list[int]
    """The machine's, of which every rank gets `threads`."""
    threads: int
    batch_size: int
    """Samples of the global batch, whatever the number of ranks."""
    steps: int
    targets: list[str]

    def cores_of(self, rank: int) -> set[int]:
        """Cores of a rank: its own, as long as there are enough."""
        first = rank * self.threads
        return {self.cores[(first + offset) % len(self.cores)] for offset in range(self.threads)}

    def shares_cores(self, ranks: int) -> bool:
        """Whether so many ranks have to take turns on cores."""
        return ranks * self.threads > len(self.cores)


@dataclass(frozen=True)
class StepTimes:
    """One step on one rank."""

    tokens: int
    """Of the global batch."""
    compute_seconds: float
    wait_seconds: float
    """Until the slowest rank was done."""
    communication_seconds: float
    """The one sum over ranks."""

    @property
    def seconds(self) -> float:
        """The whole step."""
        return self.compute_seconds + self.wait_seconds + self.communication_seconds


Steps = Sequence[StepTimes]
"""Those of one rank."""


def group_figures(together: Sequence[Steps], apart: Sequence[Steps], *, shares_cores: bool) -> dict[str, Any]:
    """Figures of one number of ranks.

    The ideal is what as many processes do on the same cores at the same time without knowing of each other,
    each with the whole batch: what compute alone gives where cores share a memory, and a clock. What a group
    lacks of it is communication, waiting, and what sharing a batch costs in computing (`compute_efficiency`):
    smaller micro-batches, and a prefix once on every rank.

    Args:
        together: the group's ranks. They leave a sum together, so the first one's clock is that of all.
        apart: as many processes of their own.
        shares_cores: whether they have to take turns on cores.
    """
    steps = [step for rank in together for step in rank]
    seconds = sum(step.seconds for step in steps)
    communication = sum(step.communication_seconds for step in steps) / seconds
    waiting = sum(step.wait_seconds for step in steps) / seconds
    ideal = sum(speed(alone) for alone in apart)
    efficiency = speed(together[0]) / ideal
    return {
        "processes": len(together),
        "shares_cores": shares_cores,
        "tokens_per_second": speed(together[0]),
        "ideal_tokens_per_second": ideal,
        "step_seconds": sum(step.seconds for step in together[0]) / len(together[0]),
        "communication_share": communication,
        "wait_share": waiting,
        "efficiency": efficiency,
        "compute_efficiency": efficiency / (1 - communication - waiting),
    }


def speed(steps: Steps) -> float:
    """Tokens per second over some steps."""
    return sum(step.tokens for step in steps) / sum(step.seconds for step in steps)


def middle_of(rounds: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Of every number of ranks the round of median efficiency: a slow moment of the machine is left out."""
    return [
        sorted(groups, key=lambda group: float(group["efficiency"]))[(len(groups) - 1) // 2]
        for groups in zip(*rounds, strict=True)
    ]
