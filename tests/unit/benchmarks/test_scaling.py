"""Scaling figures from ranks' reports."""

import pytest
from benchmarks.scaling.figures import Job, StepTimes, group_figures, middle_of


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


def test_a_group_is_held_against_as_many_processes_of_their_own() -> None:
    fast, slow = [StepTimes(400, 1.0, 0.9, 0.1)], [StepTimes(400, 1.9, 0.0, 0.1)]
    alone = [StepTimes(400, 4.0, 0.0, 0.0), StepTimes(400, 4.0, 0.0, 0.0)]
    figures = group_figures([fast, slow], [alone, [StepTimes(400, 3.2, 0.0, 0.0)]], shares_cores=False)
    assert figures["tokens_per_second"] == pytest.approx(200.0)
    assert figures["ideal_tokens_per_second"] == pytest.approx(225.0)
    assert figures["communication_share"] == pytest.approx(0.05)
    assert figures["wait_share"] == pytest.approx(0.225)
    assert figures["efficiency"] == pytest.approx(200 / 225)
    assert figures["compute_efficiency"] == pytest.approx(200 / 225 / 0.725)


def test_one_process_is_its_own_ideal() -> None:
    alone = [[StepTimes(400, 2.0, 0.0, 0.0)]]
    assert group_figures(alone, alone, shares_cores=False)["efficiency"] == pytest.approx(1.0)


def test_a_slow_round_of_one_number_of_processes_is_left_out() -> None:
    usual, slow = {"efficiency": 0.95}, {"efficiency": 0.4}
    alone = {"efficiency": 1.0}
    assert middle_of([[alone, slow], [alone, usual], [alone, {"efficiency": 0.97}]]) == [alone, usual]
