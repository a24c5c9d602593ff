"""Which promises are taken for kept: times that are promised, and restarts that the status must count."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from tests.chaos.fault import Change, Fault, missed_limit
from tests.chaos.faults_of_workers import restart_counted
from tests.chaos.record import RECORDS, read_records
from tests.chaos.trial import Trial
from tests.chaos.victim import Victim
from tests.e2e.history import Samples

STRUCK = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "limit_s", "words"),
    [
        pytest.param(29.9, 30.0, "", id="in time"),
        pytest.param(30.1, 30.0, "took 30.1 s, where 30 s are promised", id="late"),
        pytest.param(500.0, None, "", id="nothing is promised"),
    ],
)
def test_a_promised_time(seconds: float, limit_s: float | None, words: str) -> None:
    assert missed_limit(seconds, limit_s) == words


@pytest.mark.parametrize(
    ("samples", "survived"),
    [
        pytest.param(Samples(0, 0), {"in time": True, "late": False}, id="every sample counts once"),
        pytest.param(Samples(8, 0), {"in time": False, "late": False}, id="a step is lost"),
    ],
)
def test_a_fault_that_took_too_long_was_not_survived(
    samples: Samples, survived: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RECORDS, str(tmp_path / "records"))
    monkeypatch.setattr(Trial, "_arrange", lambda _trial, _fault: None)
    monkeypatch.setattr(Trial, "_inject", lambda _trial, _fault: 31.0)
    monkeypatch.setattr(Trial, "_to_the_end", lambda _trial: samples)
    trial = Trial(cast(Victim, None), random.Random(0))
    for name, limit_s in {"in time": 40.0, "late": 30.0}.items():
        trial.inject(Fault(name=name, inject=lambda _victim: None, limit_s=limit_s))
    trial.finish()
    noted = read_records(tmp_path / "records")
    assert {each.fault: each.survived for each in noted} == survived
    assert {each.recovery_s for each in noted} == {31.0}
    assert {each.samples_lost for each in noted} == {samples.lost}
    assert noted[1].why == "took 31.0 s, where 30 s are promised"


def workers(restarts: int, *, seconds_before: float | None, reason: str | None = "Deleted") -> dict[str, Any]:
    found: dict[str, Any] = {"restarts": restarts}
    if seconds_before is not None:
        found["lastRestartTime"] = (STRUCK - timedelta(seconds=seconds_before)).isoformat()
        found["lastRestartReason"] = reason
    return {"status": {"workers": found}}


@pytest.mark.parametrize(
    ("before", "now", "is_counted"),
    [
        pytest.param(
            workers(0, seconds_before=None), workers(1, seconds_before=-1), True, id="the first is counted"
        ),
        pytest.param(
            workers(0, seconds_before=None), workers(0, seconds_before=None), False, id="the first is not"
        ),
        pytest.param(
            workers(1, seconds_before=31), workers(2, seconds_before=-1), True, id="another one is counted"
        ),
        pytest.param(
            workers(1, seconds_before=31),
            workers(1, seconds_before=31),
            False,
            id="the one before is too old to be the same incident",
        ),
        pytest.param(
            workers(1, seconds_before=29),
            workers(1, seconds_before=29),
            True,
            id="close to the one before, it is the same incident",
        ),
        pytest.param(
            workers(1, seconds_before=29),
            workers(1, seconds_before=29, reason=None),
            False,
            id="a restart has a reason",
        ),
    ],
)
def test_a_restart_must_be_counted(before: dict[str, Any], now: dict[str, Any], is_counted: bool) -> None:
    assert restart_counted(Change(before, STRUCK, now)) is is_counted
