"""The whole comparison: rounds in which ours and every peer take turns; the result grows with each run."""

import dataclasses
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.trainers.contestants import Contestant
from benchmarks.trainers.figures import paired_ratio, summary
from benchmarks.trainers.running import OURS, flops_per_token, held_out_loss, run_contestant
from benchmarks.trainers.setup import Setup

Runs = dict[str, list[dict[str, Any]]]


def compare(
    setup: Setup, peers: Sequence[Contestant], *, rounds: int, root: Path, on_progress: Any
) -> dict[str, Any]:
    """Runs `rounds` times ours and every peer in turn.

    A peer that fails is recorded with its error, and takes no further part. `on_progress` gets the result
    after every run.
    """
    runs: Runs = {OURS: []}
    losses: dict[str, float] = {}
    turns: list[Contestant | None] = [None, *peers]
    started, done = time.monotonic(), 0
    for round_number in range(1, rounds + 1):
        for contestant in turns:
            name = OURS if contestant is None else contestant.name
            done += 1
            if contestant is not None and round_number > (contestant.rounds or rounds):
                continue
            if any("error" in run for run in runs.setdefault(name, [])):
                continue
            figures = run_contestant(contestant, setup, output=root / "runs" / name)
            runs[name].append(figures)
            _evaluate_once(name, figures, setup, losses)
            _say(
                name,
                figures,
                losses,
                where=f"round {round_number}/{rounds}, run {done}/{rounds * len(turns)}",
                seconds=time.monotonic() - started,
            )
            on_progress(make_result(setup, runs, losses, peers))
    return make_result(setup, runs, losses, peers)


def make_result(
    setup: Setup, runs: Runs, losses: dict[str, float], peers: Sequence[Contestant]
) -> dict[str, Any]:
    """The result so far: medians by contestant, every run, and how many times faster ours is."""
    summaries = {name: _summary(name, of_name, losses) for name, of_name in runs.items() if of_name}
    for peer in peers:
        if peer.name in summaries:
            summaries[peer.name]["options"] = peer.options
            if "error" not in summaries[peer.name] and "error" not in summaries[OURS]:
                summaries[peer.name]["ours_is_faster_by"] = paired_ratio(runs[OURS], runs[peer.name])
    gemm = [value for of_name in runs.values() for run in of_name for value in run.get("gemm_gflops", [])]
    return {
        "gemm_gflops": statistics.median(gemm) if gemm else None,
        "gemm_gflops_min": min(gemm, default=None),
        "gemm_gflops_max": max(gemm, default=None),
        "flops_per_token": flops_per_token(setup),
        "workload": dataclasses.asdict(setup.workload) | {"targets": list(setup.workload.targets)},
        OURS: summaries.get(OURS, {}),
        "peers": {name: value for name, value in summaries.items() if name != OURS},
        "runs": runs,
    }


def _summary(name: str, runs: list[dict[str, Any]], losses: dict[str, float]) -> dict[str, Any]:
    if errors := [run for run in runs if "error" in run]:
        return {"error": errors[0]["error"]}
    facts: dict[str, Any] = {
        key: runs[-1][key] for key in ("version", "mixes_documents", "engine") if key in runs[-1]
    }
    held_out = losses.get(name)
    kind = "held-out" if held_out is not None else "mean of training"
    loss = runs[-1]["train_loss"] if held_out is None else held_out
    return summary(runs) | {"loss": loss, "loss_kind": kind, "train_loss": runs[-1]["train_loss"], **facts}


def _evaluate_once(name: str, figures: dict[str, Any], setup: Setup, losses: dict[str, float]) -> None:
    """Held-out loss after the first round: the same seed gives the same adapter in the others."""
    if name in losses or figures.get("adapter") is None:
        return
    try:
        losses[name] = held_out_loss(Path(figures["adapter"]), setup)
    except subprocess.CalledProcessError as error:
        figures["error"] = f"plain peft cannot load the adapter: {error.stderr[-400:]}"


def _say(name: str, figures: dict[str, Any], losses: dict[str, float], *, where: str, seconds: float) -> None:
    if "error" in figures:
        print(f"[{where}, {seconds:.0f} s] {name}: {figures['error'][:300]}", flush=True)
        return
    print(
        f"[{where}, {seconds:.0f} s] {name}: {figures['tokens_per_second']:.0f} tokens/s, "
        f"{figures['peak_share']:.0%} of the peak, {figures['peak_rss_bytes'] / 1e9:.1f} GB, "
        f"first step {figures['first_step_seconds']:.0f} s, loss {losses.get(name, float('nan')):.4f}",
        flush=True,
    )
