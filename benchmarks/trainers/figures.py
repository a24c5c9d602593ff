"""Figures from recorded steps. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def tokens_per_second(steps: Sequence[Mapping[str, float]], *, warmup_steps: int) -> float:
    """Useful tokens per second over the steps after the first `warmup_steps`, by the clock.

    Args:
        steps: optimizer steps in order, each with the unix `time` of its end and its `tokens`.
        warmup_steps: at least 1: the start of the first step is not known.

    Raises:
        ValueError: no step is left.
    """
    if warmup_steps < 1 or len(steps) <= warmup_steps:
        raise ValueError(
            f"{len(steps)} recorded steps leave none to measure after {warmup_steps} warm-up steps"
        )
    measured = steps[warmup_steps:]
    seconds = measured[-1]["time"] - steps[warmup_steps - 1]["time"]
    return sum(step["tokens"] for step in measured) / seconds


def tokens_per_cpu_second(steps: Sequence[Mapping[str, float]], *, warmup_steps: int) -> float:
    """The same by the processor's time of all threads, which other processes on the machine blur less."""
    measured = steps[warmup_steps:]
    seconds = measured[-1]["cpu_seconds"] - steps[warmup_steps - 1]["cpu_seconds"]
    return sum(step["tokens"] for step in measured) / seconds


def run_figures(
    report: Mapping[str, Any],
    *,
    started_at: float,
    peak_rss_bytes: int,
    gemm: tuple[float, float],
    flops_per_token: float,
    warmup_steps: int,
) -> dict[str, Any]:
    """Figures of one run.

    Args:
        report: the contestant's report, with its `steps`.
        started_at: unix time when its process was started.
        peak_rss_bytes: its largest resident set.
        gemm: speed of the machine's matrix product right before and right after, in operations per second.
        flops_per_token: operations of a useful token of this workload.
        warmup_steps: steps that throughput leaves out.
    """
    steps = report["steps"]
    speed = tokens_per_second(steps, warmup_steps=warmup_steps)
    losses = [step["loss"] for step in steps if "loss" in step]
    return {
        "tokens_per_second": speed,
        "peak_share": speed * flops_per_token / statistics.mean(gemm),
        "peak_rss_bytes": peak_rss_bytes,
        "first_step_seconds": steps[0]["time"] - started_at,
        "train_loss": statistics.mean(losses) if losses else None,
        "gemm_gflops": [value / 1e9 for value in gemm],
    }


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over a contestant's runs, and the spread of its throughput.

    Memory is the largest of all runs: a run that fits once must fit always.
    """
    speeds = [run["tokens_per_second"] for run in runs]
    return {
        "tokens_per_second": statistics.median(speeds),
        "tokens_per_second_min": min(speeds),
        "tokens_per_second_max": max(speeds),
        "peak_share": statistics.median(run["peak_share"] for run in runs),
        "peak_rss_bytes": max(run["peak_rss_bytes"] for run in runs),
        "first_step_seconds": statistics.median(run["first_step_seconds"] for run in runs),
        "runs": len(runs),
    }


def paired_ratio(ours: Sequence[Mapping[str, Any]], peer: Sequence[Mapping[str, Any]]) -> float:
    """Median over the rounds of our throughput divided by the peer's in the same round."""
    ratios: list[float] = [
        mine["tokens_per_second"] / theirs["tokens_per_second"]
        for mine, theirs in zip(ours, peer, strict=False)
    ]
    return statistics.median(ratios)


def max_relative_difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Largest |ours - theirs| / theirs over the steps.

    Raises:
        ValueError: the curves have different lengths.
    """
    return max(abs(mine - other) / other for mine, other in zip(ours, theirs, strict=True))
