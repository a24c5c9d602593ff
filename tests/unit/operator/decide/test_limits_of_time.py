"""activeDeadline and ttlAfterFinished, by a clock that may jump."""

from datetime import timedelta

import pytest

from tests.unit.operator.decide.world import CLAIM, JOB, PREPARE, World

HOUR = {"activeDeadline": "1h"}


def test_time_counts_over_restarts() -> None:
    world = World(runPolicy=HOUR).training()
    world.live_for(1800)
    world.finish_job(JOB, "Failed")
    world.live_for(100)
    world.start_workers()
    world.live_for(1699)
    assert world.phase == "Training"
    world.live_for(2)
    assert world.phase == "Failed"
    assert world.status["failure"]["category"] == "Deadline"
    assert world.status["activeSeconds"] == 3600
    assert "activeTime" not in world.status
    assert JOB not in world.children


def test_time_of_suspension_does_not_count() -> None:
    world = World(runPolicy=HOUR).training()
    world.live_for(1800)
    world.edit(runPolicy={**HOUR, "suspend": True})
    world.settle()
    assert "activeTime" not in world.status
    world.live_for(100_000)
    assert world.decide().wake_at is None
    world.edit(runPolicy={**HOUR, "suspend": False})
    world.settle()
    world.live_for(1799)
    assert world.phase != "Failed"
    world.live_for(1)
    assert world.phase == "Failed"


def test_an_operator_that_restarts_goes_on_counting() -> None:
    world = World(runPolicy=HOUR).training()
    for _ in range(60):
        world.live_for(59)
        world.last_status_write = None
        world.watching_since = world.now
    assert world.phase == "Training"
    world.live_for(60)
    assert world.phase == "Failed"


def test_counting_writes_now_and_then_and_only_where_something_depends_on_it() -> None:
    writes = {}
    for policy in ({}, HOUR):
        world = World(runPolicy=policy).training()
        writes[len(policy)] = 0
        for _ in range(50):
            world.wait(60)
            writes[len(policy)] += world.reconcile()
    assert writes == {0: 0, 1: 5}


@pytest.mark.parametrize(
    "jump",
    [timedelta(hours=10), timedelta(days=400), timedelta(minutes=-30), timedelta(days=-400)],
    ids=["hours forward", "a year forward", "half an hour back", "a year back"],
)
def test_a_clock_that_jumps_ends_nothing_and_writes_once(jump: timedelta) -> None:
    world = World(runPolicy=HOUR).training()
    world.live_for(3000)
    world.now += jump
    world.settle()
    assert world.reconcile() == 0
    assert world.phase == "Training"
    world.live_for(599)
    assert world.phase == "Training"
    world.live_for(1200)
    assert world.phase == "Failed", "time counts on after the jump"


def finished(phase: str, **changes: object) -> World:
    world = World(**changes).training()
    if phase == "Succeeded":
        world.told(step=10, total_steps=10, result=world.result())
    else:
        world.end("medical-worker-0", 2)
    world.finish_job(JOB, phase)
    world.settle()
    assert world.phase == phase
    return world


TTL = {"ttlAfterFinished": "1h"}


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
@pytest.mark.parametrize(
    ("storage", "left"),
    [
        pytest.param({}, {CLAIM}, id="the volume is retained"),
        pytest.param({"retain": False}, set(), id="the volume goes too"),
    ],
)
def test_children_go_after_their_time_and_results_stay(
    phase: str, storage: dict[str, bool], left: set[object]
) -> None:
    world = finished(phase, runPolicy=TTL, storage=storage)
    status = dict(world.status)
    assert {PREPARE, JOB} & set(world.children)
    world.live_for(3599)
    assert len(world.children) > 1
    world.live_for(1)
    assert set(world.children) == left
    assert world.status == status
    assert world.reconcile() == 0
    assert world.decide().wake_at is None


def test_an_existing_claim_is_never_removed() -> None:
    world = World(runPolicy=TTL, storage={"existingClaim": "shared", "retain": False})
    ref = CLAIM._replace(name="shared")
    claim = {"accessModes": ["ReadWriteMany"]}
    world.children[ref] = {
        "metadata": {"name": "shared", "uid": "x"},
        "spec": claim,
        "status": {"phase": "Bound"},
    }
    world.settle()
    world.pod("medical-prepare-x", PREPARE)
    world.end("medical-prepare-x", 2)
    world.finish_job(PREPARE, "Failed")
    world.live_for(3601)
    assert set(world.children) == {ref}


def test_without_a_time_to_live_everything_stays_and_one_can_be_set_later() -> None:
    world = finished("Succeeded")
    world.live_for(10_000_000)
    assert JOB in world.children
    world.edit(runPolicy=TTL)
    world.settle()
    assert set(world.children) == {CLAIM}


def test_what_is_already_leaving_is_not_removed_again() -> None:
    world = finished("Succeeded", runPolicy=TTL)
    world.wait(3600)
    for child in world.children.values():
        child["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    assert world.decide().delete == ()
