"""Workers that run and do not get on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from llmfinetune_trainer.config.messages import Failure
from tests.unit.operator.decide.world import JOB, UID, World

LEAST = 900
AT_START = 3600
BEFORE = f"{UID}-0"


PATIENT = {"replicas": 2, "minReplicas": 1, "maxReplicas": 4, "schedulingTimeout": "24h"}


def training(**told: Any) -> World:
    world = World(workers=PATIENT).training()
    world.told(**{"step": 10, "total_steps": 110, "step_seconds": 1.0} | told)
    world.wait(10)
    world.settle()
    return world


def test_no_progress_is_told_and_then_ended_by_a_restart_that_counts() -> None:
    world = training()
    world.live_for(LEAST - 20)
    assert world.condition("Stalled") == ("False", "NotStalled")
    world.live_for(30)
    assert world.condition("Stalled") == ("True", "NoProgress")
    assert (world.phase, world.status["attempt"]) == ("Training", 1)
    failure = world.status["failure"]
    assert (failure["category"], failure["retryable"]) == ("Network", True)
    assert "step 10" in failure["message"]
    assert "NoProgress" in world.posted
    assert world.reconcile() == 0
    world.live_for(LEAST)
    assert world.status["attempt"] == 2
    workers = world.status["workers"]
    assert (workers["failures"], workers["lastRestartReason"]) == (1, "NoProgress")


def test_a_step_ends_the_stall() -> None:
    world = training()
    world.live_for(LEAST + 100)
    world.told(step=11, total_steps=110)
    world.settle()
    assert world.condition("Stalled")[0] == "False"
    assert "failure" not in world.status
    world.live_for(LEAST - 20)
    assert world.status["attempt"] == 1


def test_workers_that_stall_again_and_again_end_the_fine_tune() -> None:
    world = World(runPolicy={"maxRestarts": 1}).training()
    for _ in range(2):
        world.told(step=10, total_steps=110)
        world.live_for(3 * LEAST)
        if world.phase != "Failed":
            world.start_workers()
            world.settle()
    assert world.phase == "Failed"
    assert world.status["failure"]["reason"] == "NoProgress"
    assert "maxRestarts" in world.status["failure"]["message"]


@pytest.mark.parametrize("seconds", [100, 200])
def test_slow_steps_are_waited_for(seconds: int) -> None:
    world = training(step_seconds=seconds)
    world.live_for(19.5 * seconds)
    assert world.condition("Stalled")[0] == "False"
    world.live_for(seconds)
    assert world.condition("Stalled")[0] == "True"


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"phase": "Preparing"}, id="starting"),
        pytest.param({"total_steps": 0}, id="no idea how far it is"),
    ],
)
def test_who_owes_no_step_has_not_stalled(told: dict[str, Any]) -> None:
    world = training(**told)
    world.live_for(10 * LEAST)
    assert world.condition("Stalled")[0] == "False"


def starting(**told: Any) -> World:
    """Workers that run and have not said a word; preparation has."""
    world = World(workers=PATIENT).training()
    world.told(**{"attempt": BEFORE, "phase": "Preparing"} | told)
    world.settle()
    return world


def test_workers_that_never_say_a_word_are_told_of_and_then_started_again() -> None:
    world = starting()
    world.live_for(AT_START - 20)
    assert world.condition("Stalled") == ("False", "NotStalled")
    world.live_for(30)
    assert world.condition("Stalled") == ("True", "NoProgress")
    assert "while starting for 3600 s" in world.status["failure"]["message"]
    assert "start again" in world.status["failure"]["hint"]
    assert (world.status["attempt"], world.reconcile()) == (1, 0)
    world.live_for(AT_START)
    assert world.status["attempt"] == 2
    workers = world.status["workers"]
    assert (workers["failures"], workers["lastRestartReason"]) == (1, "NoProgress")


def no_operator_heard(world: World) -> None:
    world.wait(10 * AT_START)
    world.watching_since = world.now
    world.live_for(AT_START - 10)


def just_started(world: World) -> None:
    world.live_for(AT_START - 10)
    del world.pods["medical-worker-1"]
    world.replace("medical-worker-1")
    world.live_for(AT_START - 10)


def wait_for_one(world: World) -> None:
    world.pods["medical-worker-1"]["status"] = {"phase": "Pending"}
    world.live_for(10 * AT_START)


def heard_at_last(world: World) -> None:
    world.live_for(AT_START + 10)
    world.told(step=0, total_steps=110)
    world.settle()


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(no_operator_heard, id="the operator was away"),
        pytest.param(just_started, id="one has just started"),
        pytest.param(wait_for_one, id="they wait for one of them"),
        pytest.param(heard_at_last, id="the model was large"),
    ],
)
def test_workers_have_time_to_start(happens: Callable[[World], None]) -> None:
    world = starting()
    happens(world)
    assert world.condition("Stalled")[0] == "False"
    assert world.status["attempt"] == 1


def test_where_no_report_ever_came_it_is_told_and_nobody_started_again() -> None:
    world = World(workers=PATIENT).training()
    world.live_for(10 * AT_START)
    assert world.condition("Stalled") == ("True", "NoProgress")
    assert "may not reach the operator" in world.status["failure"]["hint"]
    assert world.status["attempt"] == 1
    world.told(step=10, total_steps=110)
    world.settle()
    assert world.condition("Stalled")[0] == "False"


def test_an_operator_that_was_away_waits_for_the_slow_step_that_is_computed() -> None:
    world = training(eta_seconds=100 * 600)
    world.report, world.watching_since = None, world.now
    world.live_for(20 * 600 - 10)
    assert world.condition("Stalled")[0] == "False"
    world.live_for(20)
    assert world.condition("Stalled")[0] == "True"


def test_workers_that_start_again_in_their_pods_have_time_to_load_the_model() -> None:
    world = training()
    lost = Failure(category="Network", reason="PeersLost", retryable=True, message="lost a peer")
    world.told(step=10, total_steps=110, failure=lost)
    world.live_for(AT_START - 10)
    assert world.condition("Stalled")[0] == "False"
    world.told(step=10, total_steps=110, restarts=1)
    world.live_for(LEAST + 10)
    assert world.condition("Stalled") == ("True", "NoProgress")


@pytest.mark.parametrize("total_steps", [110, 0], ids=["while they trained", "before they said how far"])
def test_workers_that_hang_after_they_lost_a_peer_have_stalled(total_steps: int) -> None:
    world = training(total_steps=total_steps)
    lost = Failure(category="Network", reason="PeersLost", retryable=True, message="lost a peer")
    world.told(step=10, total_steps=total_steps, failure=lost)
    world.live_for(AT_START + 10)
    assert world.condition("Stalled") == ("True", "NoProgress")


def test_replaced_workers_have_time_to_load_the_model() -> None:
    world = training()
    world.live_for(LEAST - 20)
    del world.pods["medical-worker-1"]
    world.replace("medical-worker-1")
    world.live_for(AT_START - 10)
    assert world.condition("Stalled")[0] == "False"
    world.live_for(20)
    assert world.condition("Stalled")[0] == "True"


@pytest.mark.parametrize("phase", ["Evaluating", "Exporting"])
def test_phases_without_steps_are_judged_by_the_share_that_is_done(phase: str) -> None:
    world = training(phase=phase)
    for percent in (1, 2, 3):
        world.live_for(LEAST - 20)
        world.told(phase=phase, step=10, total_steps=110, phase_percent=percent)
        world.settle()
        assert world.condition("Stalled")[0] == "False"
    world.live_for(LEAST + 10)
    assert world.condition("Stalled") == ("True", "NoProgress")
    assert f"while {phase.lower()}" in world.status["failure"]["message"]
    world.live_for(LEAST)
    assert world.status["attempt"] == 2


def test_the_step_after_a_long_evaluation_has_its_own_time() -> None:
    world = training(phase="Evaluating")
    for percent in (40, 80):
        world.live_for(LEAST - 20)
        world.told(phase="Evaluating", step=10, total_steps=110, phase_percent=percent)
    world.told(phase="Training", step=10, total_steps=110)
    world.live_for(LEAST - 20)
    assert world.condition("Stalled")[0] == "False"


def test_a_report_that_repeats_itself_is_no_progress() -> None:
    world = training()
    world.live_for(LEAST - 20)
    world.told(step=10, total_steps=110)
    world.live_for(30)
    assert world.condition("Stalled") == ("True", "NoProgress")


def test_workers_that_wait_for_one_of_them_have_not_stalled() -> None:
    world = training()
    world.pods["medical-worker-1"]["status"] = {"phase": "Pending"}
    world.live_for(LEAST + 100)
    assert world.condition("Stalled")[0] == "False"
    assert world.status["attempt"] == 1


def test_an_operator_that_was_away_could_hear_no_step() -> None:
    world = training()
    world.wait(10 * LEAST)
    world.watching_since = world.now
    world.told(step=10, total_steps=110)
    world.settle()
    assert world.condition("Stalled")[0] == "False"


@pytest.mark.parametrize("jump", [timedelta(days=30), timedelta(days=-30)])
def test_a_clock_that_jumps_restarts_no_worker(jump: timedelta) -> None:
    world = training()
    world.now += jump
    world.settle()
    world.live_for(5)
    world.told(step=11, total_steps=110)
    world.settle()
    assert world.condition("Stalled")[0] == "False"
    assert world.status["attempt"] == 1
    assert JOB in world.children
