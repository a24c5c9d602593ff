"""Scaling figures from ranks' reports."""

import pytest
from benchmarks.scaling.figures import Job, RankReport, StepTimes, group_figures, middle_of, with_efficiency


def job(*, cores: int, threads: int) -> Job:
    return Job(
        model="m",
        data="d",
        output="o",
        cores=list(range(10, 10 + cores)),
        threads=threads,
        batch_size=4,
        steps=1,
        targets=["q_proj"],
    )


def test_every_rank_has_its_own_cores_while_there_are_enough() -> None:
    four = job(cores=4, threads=2)
    assert [four.cores_of(rank) for rank in range(3)] == [{10, 11}, {12, 13}, {10, 11}]
    assert [four.shares_cores(ranks) for ranks in (1, 2, 3)] == [False, False, True]


def test_shares_of_a_step_are_those_of_all_ranks_together() -> None:
    fast = RankReport(gemm=(90e9, 110e9), steps=[StepTimes(400, 1.0, 0.9, 0.1)])
    slow = RankReport(gemm=(100e9, 100e9), steps=[StepTimes(400, 1.9, 0.0, 0.1)])
    figures = group_figures([fast, slow], shares_cores=False)
    assert figures["tokens_per_second"] == pytest.approx(200.0)
    assert figures["communication_share"] == pytest.approx(0.05)
    assert figures["wait_share"] == pytest.approx(0.225)
    assert figures["gemm_gflops"] == pytest.approx(200.0)


def test_the_ideal_is_what_the_cores_of_a_group_can_multiply() -> None:
    groups = [
        {"tokens_per_second": 100.0, "gemm_gflops": 200.0, "communication_share": 0.0, "wait_share": 0.0},
        {"tokens_per_second": 171.0, "gemm_gflops": 360.0, "communication_share": 0.01, "wait_share": 0.04},
        {"tokens_per_second": 180.0, "gemm_gflops": 360.0, "communication_share": 0.0, "wait_share": 0.0},
    ]
    alone, two, shared = with_efficiency(groups)
    assert alone["efficiency"] == pytest.approx(1.0)
    assert two["speedup"] == pytest.approx(1.71)
    assert two["efficiency"] == pytest.approx(0.95)
    assert two["compute_efficiency"] == pytest.approx(1.0), "all that is missing is waiting and communication"
    assert shared["efficiency"] == pytest.approx(1.0)


def test_a_slow_round_of_one_number_of_processes_is_left_out() -> None:
    usual, slow = {"efficiency": 0.95}, {"efficiency": 0.4}
    alone = {"efficiency": 1.0}
    assert middle_of([[alone, slow], [alone, usual], [alone, {"efficiency": 0.97}]]) == [alone, usual]
