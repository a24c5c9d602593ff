"""The status names the newest checkpoint that is there: what a trainer finds replaces what was known."""

from collections.abc import Callable

import pytest

from llmfinetune_operator.resources import names
from tests.unit.operator.decide.world import CLAIM, JOB, PREPARE, UID, World

WORKER = "medical-worker-0"


def saved(step: int = 50) -> World:
    """Training has saved a checkpoint."""
    world = World().training()
    world.wait(60)
    world.checkpoint(step)
    world.settle()
    return world


def named(world: World) -> int | None:
    """Step of the checkpoint in the status."""
    step: int | None = world.status.get("checkpoint", {}).get("step")
    return step


def crash(world: World) -> None:
    world.wait(60)
    world.end(WORKER, 137)
    world.settle()
    world.replace(WORKER)
    world.settle()


@pytest.mark.parametrize("found", [50, 45, None], ids=["the newest", "the one before", "none"])
def test_a_trainer_that_starts_tells_which_checkpoint_is_there(found: int | None) -> None:
    world = saved(50)
    world.went_on_from(found)
    world.settle()
    assert named(world) == found
    if found is not None:
        assert world.status["checkpoint"]["sizeBytes"] == found
    world.report = None
    assert world.reconcile() == 0, "an operator that starts anew knows it too"


@pytest.mark.parametrize("found", [45, None], ids=["the one before", "none"])
def test_waits_begin_anew_with_a_checkpoint_beyond_the_one_that_is_left(found: int | None) -> None:
    world = saved(50)
    crash(world)
    assert world.status["workers"]["checkpointAtFailure"] == 50
    world.went_on_from(found)
    world.settle()
    workers = world.status["workers"]
    assert (workers["failuresInARow"], workers.get("checkpointAtFailure")) == (1, found)
    world.checkpoint(48)
    world.settle()
    assert world.status["workers"]["failuresInARow"] == 0


def while_training(world: World) -> None:
    """The workers are ended with their volume."""


def while_a_failed_job_waits(world: World) -> None:
    world.finish_job(JOB, "Failed")
    world.settle()


def after_the_job(world: World) -> None:
    world.lose(JOB)
    world.pods = {name: pod for name, pod in world.pods.items() if "prepare" in name}


def prepare_again(world: World) -> None:
    world.bind()
    world.settle()
    world.wait(5)
    world.finish_job(PREPARE, "Complete")
    world.settle()


@pytest.mark.parametrize("when", [while_training, while_a_failed_job_waits, after_the_job])
def test_a_volume_that_is_lost_takes_its_checkpoints_along(when: Callable[[World], None]) -> None:
    world = saved(50)
    when(world)
    world.lose(CLAIM)
    world.settle()
    assert named(world) is None
    prepare_again(world)
    assert named(world) is None, "what was reported about the lost volume does not come back"
    world.live_for(600)
    assert named(world) is None
    world.start_workers()
    world.checkpoint(5)
    world.settle()
    assert named(world) == 5


def test_a_claim_without_its_volume_holds_no_checkpoint() -> None:
    world = saved(50)
    world.children[CLAIM]["status"] = {"phase": "Lost"}
    world.settle()
    assert named(world) is None


@pytest.mark.parametrize("is_known", [True, False], ids=["after its successor's report", "before it"])
def test_a_late_report_of_an_earlier_attempt_changes_nothing(is_known: bool) -> None:
    world = saved(50)
    world.edit(runtime={"image": "trainer:2"})
    world.settle()
    assert world.children[JOB]["metadata"]["annotations"]["llmfinetune.dev/attempt"] == "2"
    world.went_on_from(45)
    world.settle()
    if not is_known:
        world.report = None
    world.checkpoint(50, attempt=names.attempt_id(UID, 1))
    world.settle()
    assert named(world) == 45


def test_what_workers_save_as_they_make_room_for_the_next_attempt_is_named() -> None:
    world = saved(50)
    leaving = dict(world.pods)
    world.edit(runtime={"image": "trainer:2"})
    world.settle()
    world.lose(JOB)
    world.pods = leaving
    world.checkpoint(55, attempt=names.attempt_id(UID, 1))
    world.settle()
    assert (world.status["attempt"], JOB in world.children, named(world)) == (2, False, 55)
