"""What is measured, and the figures that follow. Pure."""

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, kw_only=True)
class RankReport:
    """One rank's steps, and the speed of its matrix product before and after, all ranks at once."""

    gemm: tuple[float, float]
    steps: list[StepTimes]


def group_figures(reports: Sequence[RankReport], *, shares_cores: bool) -> dict[str, Any]:
    """Figures of one number of ranks.

    Ranks leave a sum together, so the first rank's clock is that of the group.
    """
    steps = [step for report in reports for step in report.steps]
    seconds = sum(step.seconds for step in steps)
    own = reports[0].steps
    return {
        "processes": len(reports),
        "shares_cores": shares_cores,
        "tokens_per_second": sum(step.tokens for step in own) / sum(step.seconds for step in own),
        "step_seconds": sum(step.seconds for step in own) / len(own),
        "communication_share": sum(step.communication_seconds for step in steps) / seconds,
        "wait_share": sum(step.wait_seconds for step in steps) / seconds,
        "gemm_gflops": sum(sum(report.gemm) / 2 for report in reports) / 1e9,
    }


def with_efficiency(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Adds how far each group is from the ideal that its cores allow.

    The ideal is the first group's speed, times how much faster the group's cores together multiply matrices
    than the first group's: what compute alone would give, on cores that are shared too. What is missing is
    communication, waiting, and computing that takes longer than the matrix product says
    (`compute_efficiency`).
    """
    first = groups[0]
    return [
        {
            **group,
            "speedup": speed / first["tokens_per_second"],
            "efficiency": speed / ideal,
            "compute_efficiency": speed / ideal / (1 - group["communication_share"] - group["wait_share"]),
        }
        for group in groups
        for speed in [group["tokens_per_second"]]
        for ideal in [first["tokens_per_second"] * group["gemm_gflops"] / first["gemm_gflops"]]
    ]


def middle_of(rounds: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Of every number of ranks the round of median efficiency: a slow moment of the machine is left out."""
    return [
        sorted(groups, key=lambda group: float(group["efficiency"]))[(len(groups) - 1) // 2]
        for groups in zip(*rounds, strict=True)
    ]
