"""Who used the processors between two moments."""

import os

import pytest
from benchmarks.operator.processors import Moment, busy_seconds, fixed_work_seconds


def moment(at: float, busy: float, **programs: float) -> Moment:
    return Moment(at=at, busy=busy, programs=programs)


def test_each_program_used_what_its_clock_moved_by() -> None:
    used = moment(10.0, 9.0, operator=3.5, etcd=1.0).used_since(moment(0.0, 2.0, operator=1.0, etcd=1.0))
    assert used == {"operator": 2.5, "etcd": 0.0}


@pytest.mark.parametrize(
    ("busy", "share"),
    [
        pytest.param(4.0, 0.0, id="the measured programs were alone"),
        pytest.param(9.0, 0.25, id="others took a quarter of two processors"),
        pytest.param(3.9, 0.0, id="clocks that tick in steps never make it less than none"),
    ],
)
def test_others_took_what_no_measured_program_used(
    busy: float, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert moment(10.0, busy, operator=4.0).others_share(moment(0.0, 0.0, operator=0.0)) == share


def test_work_shows_in_the_time_of_this_program_and_of_the_machine() -> None:
    before, machine = Moment.now({"this": os.getpid()}), busy_seconds()
    worked = fixed_work_seconds()
    assert worked > 0
    assert Moment.now({"this": os.getpid()}).used_since(before)["this"] >= worked - 0.03
    assert busy_seconds() - machine >= worked - 0.05
