"""The tuning pass: what it tries, and what it keeps."""

from typing import Any

import pytest
from benchmarks.trainers.contestants import Contestant
from benchmarks.trainers.tune import Trial, tune

MEMORY, COMPILED = {"variables": {"A": "1"}}, {"compile": True}
PEER = Contestant("peer", "e", "m", {}, micro_batches=(1, 2), extras=(MEMORY, COMPILED))
SPEEDS = {"1": 5.0, "2": 7.0, "2 variables": 6.0, "2 compile": 9.0}


class Machine:
    """Runs what it knows the speed of, and remembers what it ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def attempt(self, settings: dict[str, Any]) -> Trial:
        self.ran.append(name_of(settings))
        return trial_of(settings)


def name_of(settings: dict[str, Any]) -> str:
    return " ".join([str(settings["micro_batch"]), *sorted(settings.keys() - {"micro_batch"})])


def trial_of(settings: dict[str, Any]) -> Trial:
    return {"options": settings, "tokens_per_cpu_second": SPEEDS[name_of(settings)]}


@pytest.mark.parametrize(
    ("recorded", "ran"),
    [
        pytest.param([], ["1", "2", "2 variables", "2 compile"], id="everything"),
        pytest.param(
            [{"micro_batch": 1}, {"micro_batch": 2}, {"micro_batch": 2, **MEMORY}],
            ["2 compile"],
            id="what is not recorded",
        ),
        pytest.param(
            [{"micro_batch": 1}, {"micro_batch": 1, **MEMORY}],
            ["2", "2 variables", "2 compile"],
            id="what was tried on top of a size that is no longer the best, again",
        ),
    ],
)
def test_trials_that_run(recorded: list[dict[str, Any]], ran: list[str]) -> None:
    machine = Machine()
    known = [{"options": one, "tokens_per_cpu_second": SPEEDS.get(name_of(one), 0.0)} for one in recorded]
    found = tune(PEER, known, attempt=machine.attempt)
    assert machine.ran == ran
    assert found["best"] == {"micro_batch": 2, "compile": True}
    assert len(found["tried"]) == 4
