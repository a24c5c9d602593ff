"""What an estimate says: to programs, to people, and when it does not fit."""

import pytest

from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.estimate.table import duration, table
from tests.unit.trainer.estimate.builders import MI, estimate


def test_the_short_form_is_text_and_whole_numbers() -> None:
    facts = estimate().facts()
    assert facts.model_dump(by_alias=True) == {
        "memory": "0.98Gi",
        "memoryLimit": "2.00Gi",
        "microBatchTokens": 1024,
        "recompute": False,
        "workers": 2,
        "recommendedWorkers": 10,
        "secondsPerStep": "12.35",
        "totalSeconds": 6201,
    }


@pytest.mark.parametrize("limit", [800, 690], ids=["just enough", "within what an estimate may be off"])
def test_a_limit_that_may_be_enough_is_not_refused(limit: int) -> None:
    estimate(limit_bytes=limit * MI).check_fits()


def test_a_limit_that_surely_is_too_small_is_refused_with_numbers_and_fix() -> None:
    with pytest.raises(RunError) as caught:
        estimate(limit_bytes=600 * MI).check_fits()
    failure = caught.value.failure
    assert (failure.category, failure.reason, failure.retryable) == ("UserError", "InsufficientMemory", False)
    assert "spec.workers.resources.limits.memory allows 600Mi" in failure.message
    assert "about 800Mi" in failure.message
    assert "activations 300Mi" in failure.message
    assert "set spec.workers.resources.limits.memory to 889Mi or more" in failure.hint


def test_the_table_names_parts_work_time_and_split() -> None:
    text = table(estimate(recompute=True))
    for part in (
        "Python and libraries       700Mi",
        "limit                      2.00Gi  (spec.workers.resources.limits.memory)",
        "11,000, 7,000 with loss",
        "5.50 TFLOP, 0.50 GFLOP a token",
        "12.35 s, 891 tokens/s (2 workers, 2 threads)",
        "whole run                  103 min",
        "1024, activations computed again",
        "up to 10",
    ):
        assert part in text


def test_without_a_measurement_the_table_has_no_times() -> None:
    assert "tokens/s" not in table(estimate(seconds_per_step=None, total_seconds=None))


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.4, "42 s"), (720, "12 min"), (11_100, "3 h 05 min"), (7_170, "2 h 00 min")]
)
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text
