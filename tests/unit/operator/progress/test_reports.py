"""The latest report of a fine-tune, and how often one may report."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llmfinetune_operator.observed import Key
from llmfinetune_operator.progress.reports import RateLimit, Reports, merge, received
from llmfinetune_trainer.config.messages import (
    NO_CHECKPOINT,
    CheckpointFacts,
    Failure,
    Report,
    RuntimeFacts,
)

KEY, OTHER = Key("ml", "medical"), Key("ml", "legal")
NOW = datetime(2030, 1, 1, tzinfo=UTC)
RUNTIME = RuntimeFacts(
    backend="torch", communication="gloo", precision="bf16", isa="avx512_bf16", threads=2, world_size=1
)
CHECKPOINT = CheckpointFacts(
    step=4,
    time="2030-01-01T00:00:00Z",
    path="checkpoints/4",
    size_bytes=1,
    verified=True,
    resumable=True,
)
KNOWN = Report(
    attempt="a", phase="Training", step=5, total_steps=10, loss=2.0, runtime=RUNTIME, checkpoint=CHECKPOINT
)


@pytest.mark.parametrize(
    ("later", "merged"),
    [
        pytest.param(
            Report(attempt="a", phase="Training", step=6, loss=1.9),
            KNOWN.model_copy(update={"step": 6, "loss": 1.9}),
            id="what is left out stays known",
        ),
        pytest.param(
            Report(attempt="a", phase="Evaluating", loss=None),
            KNOWN.model_copy(update={"phase": "Evaluating"}),
            id="null says nothing",
        ),
        pytest.param(
            Report(attempt="a", phase="Training", step=0),
            KNOWN.model_copy(update={"step": 0}),
            id="a step that goes back is believed: a run resumes from its checkpoint",
        ),
        pytest.param(
            Report(attempt="a", phase="Training", checkpoint=NO_CHECKPOINT),
            KNOWN.model_copy(update={"checkpoint": NO_CHECKPOINT}),
            id="that there is no checkpoint is said",
        ),
        pytest.param(
            Report(attempt="b", phase="Preparing"),
            Report(attempt="b", phase="Preparing"),
            id="a new attempt starts anew",
        ),
    ],
)
def test_merge(later: Report, merged: Report) -> None:
    assert merge(KNOWN, later) == merged


def test_who_reports_after_a_failure_has_started_again() -> None:
    failure = Failure(category="Network", reason="PeersLost", retryable=True, message="lost a peer")
    failed = merge(KNOWN, KNOWN.model_copy(update={"failure": failure}))
    assert failed.failure == failure
    assert merge(failed, Report(attempt="a", phase="Training", restarts=1)).failure is None


@pytest.mark.parametrize(
    ("attempt", "is_taken"),
    [("u-1", False), ("u-2", True), ("u-10", True), ("v-1", True)],
    ids=["an earlier one", "the same", "a later one", "another fine-tune's"],
)
def test_the_newest_attempt_wins(attempt: str, is_taken: bool) -> None:
    reports = Reports(clock=lambda: NOW)
    reports.receive(KEY, Report(attempt="u-2", phase="Training", step=5))
    assert reports.receive(KEY, Report(attempt=attempt, phase="Training", step=7)) == is_taken
    latest = reports.latest(KEY)
    assert latest is not None
    assert latest.report.step == (7 if is_taken else 5)


def test_only_news_wakes_a_reconcile() -> None:
    reports = Reports(clock=lambda: NOW)
    assert reports.receive(KEY, KNOWN)
    assert not reports.receive(KEY, KNOWN)
    assert reports.receive(KEY, Report(attempt="a", phase="Training", step=6))


@pytest.mark.parametrize(
    ("later", "is_progress"),
    [
        pytest.param({"step": 6}, True, id="a step"),
        pytest.param({"step": 3}, True, id="back to the checkpoint: workers that started again"),
        pytest.param({"phase": "Evaluating"}, True, id="another phase"),
        pytest.param({"phase_percent": 7}, True, id="a share of the phase"),
        pytest.param({"restarts": 1}, True, id="a start inside the pod"),
        pytest.param({}, False, id="the same again"),
        pytest.param({"loss": 1.9}, False, id="another figure about the same step"),
    ],
)
def test_only_work_that_was_done_is_progress(later: dict[str, Any], is_progress: bool) -> None:
    first = received(None, KNOWN, now=NOW)
    then = NOW + timedelta(minutes=1)
    latest = received(first, KNOWN.model_copy(update=later), now=then)
    assert (latest.received_at, latest.advanced_at) == (then, then if is_progress else NOW)


def test_fine_tunes_do_not_share_reports() -> None:
    reports = Reports(clock=lambda: NOW)
    reports.receive(KEY, KNOWN)
    assert reports.latest(OTHER) is None
    latest = reports.latest(KEY)
    assert latest is not None
    assert (latest.report, latest.received_at) == (KNOWN, NOW)


def test_a_burst_is_allowed_and_then_only_the_lasting_rate() -> None:
    time = [0.0]
    limit = RateLimit(per_second=2.0, burst=3, time=lambda: time[0])
    assert [limit.allows(KEY) for _ in range(4)] == [True, True, True, False]
    assert limit.allows(OTHER)
    time[0] += 0.5
    assert [limit.allows(KEY) for _ in range(2)] == [True, False]
    time[0] += 1000
    assert [limit.allows(KEY) for _ in range(4)] == [True, True, True, False]
