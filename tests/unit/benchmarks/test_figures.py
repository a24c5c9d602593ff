"""Figures from recorded steps, and the table that people read."""

import math
from typing import Any

import pytest
from benchmarks.trainers.figures import (
    max_relative_difference,
    paired_ratio,
    run_figures,
    summary,
    tokens_per_second,
)
from benchmarks.trainers.report import table

STEPS = [
    {"time": 110.0, "tokens": 5000, "loss": 3.0},
    {"time": 112.0, "tokens": 300, "loss": 2.0},
    {"time": 116.0, "tokens": 900, "loss": 1.0},
]


@pytest.mark.parametrize(
    ("warmup_steps", "expected"),
    [
        pytest.param(1, 1200 / 6, id="the slow first step is left out"),
        pytest.param(2, 900 / 4, id="so are two"),
    ],
)
def test_throughput_is_by_the_clock_after_warm_up(warmup_steps: int, expected: float) -> None:
    assert tokens_per_second(STEPS, warmup_steps=warmup_steps) == expected


@pytest.mark.parametrize("warmup_steps", [0, 3])
def test_no_throughput_without_a_measured_step(warmup_steps: int) -> None:
    with pytest.raises(ValueError, match="3 recorded steps"):
        tokens_per_second(STEPS, warmup_steps=warmup_steps)


def test_figures_of_a_run_relate_to_the_speed_around_it() -> None:
    figures = run_figures(
        {"steps": STEPS},
        started_at=100.0,
        peak_rss_bytes=7,
        gemm=(300e9, 500e9),
        flops_per_token=1e9,
        warmup_steps=1,
    )
    assert figures["peak_share"] == 200 * 1e9 / 400e9
    assert figures["first_step_seconds"] == 10.0
    assert figures["train_loss"] == 2.0
    assert figures["gemm_gflops"] == [300.0, 500.0]


def make_run(speed: float, **others: Any) -> dict[str, Any]:
    return {
        "tokens_per_second": speed,
        "peak_share": speed / 1000,
        "peak_rss_bytes": 2_000_000_000,
        "first_step_seconds": 9.0,
    } | others


def test_summary_takes_medians_and_keeps_the_spread_and_the_largest_memory() -> None:
    result = summary([make_run(100.0), make_run(400.0, peak_rss_bytes=3_000_000_000), make_run(200.0)])
    assert (
        result["tokens_per_second_min"],
        result["tokens_per_second"],
        result["tokens_per_second_max"],
    ) == (
        100.0,
        200.0,
        400.0,
    )
    assert result["peak_rss_bytes"] == 3_000_000_000
    assert result["runs"] == 3


def test_ratio_pairs_runs_of_the_same_round() -> None:
    # the machine was half as fast in the second round, for both
    assert paired_ratio([make_run(400.0), make_run(200.0)], [make_run(100.0), make_run(50.0)]) == 4.0


@pytest.mark.parametrize(("lowest", "warns"), [(400.0, False), (190.0, True)], ids=["quiet", "shared"])
def test_table_lists_the_fastest_first_and_names_what_failed(lowest: float, warns: bool) -> None:
    result = {
        "gemm_gflops": 410.0,
        "gemm_gflops_min": lowest,
        "gemm_gflops_max": 420.0,
        "ours": summary([make_run(400.0)]) | {"loss": 1.5, "loss_kind": "held-out"},
        "peers": {
            "slow": summary([make_run(100.0)])
            | {"loss": 1.6, "loss_kind": "mean of training", "ours_is_faster_by": 4.0},
            "broken": {"error": "needs a GPU"},
        },
    }
    lines = table(result).splitlines()
    assert ("not quiet" in lines[0]) is warns
    assert [line.split()[0] for line in lines[2:]] == ["ours", "slow", "broken:"]
    assert "4.0x" in lines[3]
    assert "1.6000*" in lines[3]


def test_relative_difference_is_that_of_the_worst_step() -> None:
    assert math.isclose(max_relative_difference([2.0, 1.1], [2.0, 1.0]), 0.1)
