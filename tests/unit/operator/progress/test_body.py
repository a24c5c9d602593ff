"""What a report's body may say: ours, the stock callback's, and what is neither."""

import json
from typing import Any

import pytest

from llmfinetune_operator.errors import BadReportError
from llmfinetune_operator.progress.body import parse_body, report_of
from llmfinetune_trainer.config.messages import NO_CHECKPOINT, Report


def report(body: dict[str, Any]) -> Report:
    return report_of(parse_body(json.dumps(body).encode()), attempt="u1-1")


def stock(**metrics: str) -> dict[str, Any]:
    return {"trainerStatus": {"metrics": [{"name": name, "value": value} for name, value in metrics.items()]}}


def test_our_own_part_is_the_report() -> None:
    body = {
        "trainerStatus": {"progressPercentage": 1},
        "llmfinetune": {"attempt": "u1-1", "phase": "Training", "step": 7, "loss": 1.5},
    }
    assert report(body) == Report(attempt="u1-1", phase="Training", step=7, loss=1.5)


def test_the_stock_callback_s_metrics_become_progress_and_loss() -> None:
    body = stock(loss="1.83", learning_rate="1e-4", current_step="10", total_steps="40", current_epoch="0.5")
    body["trainerStatus"] |= {
        "progressPercentage": 25,
        "estimatedRemainingSeconds": 90,
        "lastUpdatedTime": "now",
    }
    assert report(body) == Report(
        attempt="u1-1",
        phase="Training",
        step=10,
        total_steps=40,
        epoch=0.5,
        eta_seconds=90,
        loss=1.83,
        learning_rate=1e-4,
    )


def test_a_percentage_alone_is_progress() -> None:
    assert report({"trainerStatus": {"progressPercentage": 42}}) == Report(
        attempt="u1-1", phase="Training", step=42, total_steps=100
    )


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "", "much", "٣x"])
def test_a_metric_that_is_no_finite_number_stays_unsaid(value: str) -> None:
    assert report(stock(loss=value, current_step=value)).loss is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("current_step", "-3", 0, id="a step below zero"),
        pytest.param("current_step", "1e300", 10_000_000, id="a step beyond any run"),
        pytest.param("current_step", "12.9", 12, id="half a step"),
    ],
)
def test_steps_stay_within_bounds(name: str, value: str, expected: int) -> None:
    assert report(stock(**{name: value})).step == expected


def test_that_there_is_no_checkpoint_can_be_said() -> None:
    body = {"llmfinetune": {"attempt": "a", "phase": "Training", "checkpoint": "none"}}
    assert report(body).checkpoint == NO_CHECKPOINT


def test_unknown_fields_of_newer_trainers_are_ignored() -> None:
    body = {"llmfinetune": {"attempt": "a", "phase": "Training", "later": [1]}, "other": {}}
    assert report(body).attempt == "a"


@pytest.mark.parametrize(
    ("raw", "status", "says"),
    [
        pytest.param(b"", 400, "not JSON", id="an empty body"),
        pytest.param(b"{", 400, "not JSON", id="torn JSON"),
        pytest.param(b"\xff\xfe{}", 400, "not JSON", id="not UTF-8"),
        pytest.param(b"[" * 60_000, 400, "not JSON", id="nested without end"),
        pytest.param(b'{"llmfinetune": {"loss": NaN}}', 400, "NaN is no JSON number", id="NaN"),
        pytest.param(b"[]", 422, "not a report", id="a list"),
        pytest.param(b"{}", 422, "empty", id="nothing said"),
        pytest.param(b'{"llmfinetune": {"phase": "Training"}}', 422, "llmfinetune.attempt", id="no attempt"),
        pytest.param(
            b'{"llmfinetune": {"attempt": "a", "phase": "Succeeded"}}',
            422,
            "llmfinetune.phase",
            id="a forged phase",
        ),
        pytest.param(
            b'{"llmfinetune": {"attempt": "a", "phase": "Training", "step": -1}}',
            422,
            "step",
            id="a step below zero",
        ),
        pytest.param(
            b'{"llmfinetune": {"attempt": "a", "phase": "Training", "checkpoint": "some"}}',
            422,
            "checkpoint",
            id="a word for a checkpoint",
        ),
        pytest.param(
            b'{"llmfinetune": {"attempt": "a", "phase": "Training", "checkpoint": {"step": 1}}}',
            422,
            "checkpoint",
            id="a checkpoint of which little is said",
        ),
        pytest.param(
            b'{"llmfinetune": {"attempt": "a", "phase": "Training", "loss": 1e999}}',
            422,
            "loss",
            id="an infinite loss",
        ),
        pytest.param(
            b'{"trainerStatus": {"progressPercentage": 101}}', 422, "progressPercentage", id="101 %"
        ),
    ],
)
def test_what_is_not_a_report_says_where_it_is_not(raw: bytes, status: int, says: str) -> None:
    with pytest.raises(BadReportError, match=says) as caught:
        parse_body(raw)
    assert caught.value.status == status
