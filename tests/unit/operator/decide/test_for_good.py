"""A fine-tune that failed says that nothing is tried any more, what was tried, and a way on that is one."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from llmfinetune_operator.api.changes import change_class
from llmfinetune_operator.resources.prepare_job import RETRIES
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.messages import Category, Failure, TerminationMessage
from llmfinetune_trainer.errors import RunError, disk_full
from llmfinetune_trainer.launcher.ending import Ended, ending
from llmfinetune_trainer.launcher.outcome import failure_of
from tests.unit.operator.api.frozen_fields import SPEC_FIELDS
from tests.unit.operator.decide.world import JOB, PREPARE, World, waiting

POD, WORKER = "medical-prepare-x", "medical-worker-0"
STAYS = "stays Failed, whatever is edited"
FIELD = re.compile(r"(?<![\w.])(?:spec\.)?(?!status\.)([a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)+)")


LOST = ending(Ended(1, told_to_stop=False, num_oom_kills=0, outcome=None), attempt="a")[1].model_dump_json()


def told(error: RunError) -> str:
    """The termination message of a process that ended with an error."""
    return TerminationMessage(attempt="a", failure=error.failure).model_dump_json(by_alias=True)


def passing(category: Category, hint: str = "nothing to do: it goes on by itself") -> str:
    failure = Failure(category=category, reason="Away", retryable=True, message="not there", hint=hint)
    return TerminationMessage(attempt="a", failure=failure).model_dump_json(by_alias=True)


def preparing(world: World) -> None:
    world.settle()
    world.bind()
    world.pod(POD, PREPARE)
    world.settle()


def preparation_ended(code: int, message: str = "", reason: str = "Error") -> Callable[[World], None]:
    def happens(world: World) -> None:
        preparing(world)
        world.end(POD, code, message, reason)
        world.finish_job(PREPARE, "Failed")

    return happens


def image_missing(word: str) -> Callable[[World], None]:
    def happens(world: World) -> None:
        preparing(world)
        world.pods[POD]["status"] = {"phase": "Pending"} | waiting(word)
        world.settle()
        world.wait(world.settings.image_pull_grace_seconds)

    return happens


def again_and_again(world: World, fail: Callable[[], None]) -> None:
    world.training()
    while world.phase != "Failed":
        world.wait(400)
        fail()
        world.live_for(400)
        if world.phase != "Failed":
            world.start_workers()
            world.settle()


def workers_end(code: int, message: str = "", reason: str = "Error") -> Callable[[World], None]:
    def happens(world: World) -> None:
        def fail() -> None:
            for name in [name for name in world.pods if "worker" in name]:
                world.end(name, code, message, reason)

        again_and_again(world, fail)

    return happens


def job_fails(code: int | None, message: str = "") -> Callable[[World], None]:
    def happens(world: World) -> None:
        def fail() -> None:
            if code is not None:
                world.end(WORKER, code, message)
            world.finish_job(JOB, "Failed")

        again_and_again(world, fail)

    return happens


def stalls(world: World) -> None:
    def hang() -> None:
        world.told(step=10, total_steps=110)
        world.live_for(2 * world.settings.stall_seconds)

    again_and_again(world, hang)


def overdue(world: World) -> None:
    world.training()
    world.live_for(12_000)


RESTARTS = "gave up after 2 restarts (runPolicy.maxRestarts): "
TRIES = "gave up after 5 tries: "
GRACE = "gave up after 600 s: "
ENDS: dict[str, tuple[Callable[[World], None], Category, str]] = {
    "no image for preparation": (image_missing("ImagePullBackOff"), "Image", GRACE),
    "no such name of an image": (image_missing("InvalidImageName"), "Image", ""),
    "a source that stays away": (preparation_ended(138, passing("Network")), "Network", TRIES),
    "preparation that somebody kills": (preparation_ended(137), "Internal", TRIES),
    "preparation on nodes that go": (preparation_ended(255, reason="Unknown"), "NodeLost", TRIES),
    "preparation that ends as an image of another processor": (
        preparation_ended(128, reason="StartError"),
        "Image",
        TRIES,
    ),
    "preparation out of memory": (preparation_ended(137, reason="OOMKilled"), "OutOfMemory", ""),
    "preparation with a full volume": (
        preparation_ended(5, told(disk_full(Path("/workspace")))),
        "DiskFull",
        "",
    ),
    "preparation with bad data": (preparation_ended(2), "UserError", ""),
    "a full volume": (job_fails(5, told(disk_full(Path("/workspace")))), "DiskFull", ""),
    "a full volume, without a word": (job_fails(exit_codes.DISK_FULL), "DiskFull", ""),
    "a loss that explodes": (job_fails(exit_codes.DIVERGED), "Diverged", ""),
    "a defect": (job_fails(exit_codes.INTERNAL), "Internal", ""),
    "no memory": (workers_end(137, reason="OOMKilled"), "OutOfMemory", ""),
    "no memory, in the trainer's words": (job_fails(3, told(failure_of(MemoryError()))), "OutOfMemory", ""),
    "workers that somebody kills": (workers_end(137), "Internal", RESTARTS),
    "peers that are lost again and again": (workers_end(138), "Network", RESTARTS),
    "the same, in the trainer's words": (workers_end(138, passing("Network")), "Network", RESTARTS),
    "the same, in the launcher's words": (workers_end(138, LOST), "Network", RESTARTS),
    "a job that fails without a word": (job_fails(None), "Internal", RESTARTS),
    "no progress": (stalls, "Network", RESTARTS),
    "no time left": (overdue, "Deadline", ""),
}


@pytest.fixture(scope="module", params=ENDS.values(), ids=ENDS.keys())
def ended(request: pytest.FixtureRequest) -> tuple[World, Category, str]:
    happens, category, tried = request.param
    world = World(runPolicy={"maxRestarts": 2, "activeDeadline": "3h"})
    happens(world)
    world.settle()
    return world, category, tried


def test_it_says_that_nothing_is_tried_any_more_and_what_was(ended: tuple[World, Category, str]) -> None:
    world, category, tried = ended
    assert world.phase == "Failed"
    failure = world.status["failure"]
    assert (failure["category"], failure["retryable"]) == (category, False)
    assert failure["message"].startswith(tried or ("pod", "the", "not", "no"))
    assert STAYS in failure["hint"]
    for promise in ["nothing to do", "goes on from the newest", "goes on from its last", "by itself"]:
        assert promise not in failure["hint"]


def test_no_hint_names_a_field_that_is_none_or_to_be_edited_here(ended: tuple[World, Category, str]) -> None:
    world, _, _ = ended
    hint = world.status["failure"]["hint"]
    before_the_way_on = hint.split("This fine-tune stays")[0]
    fields = FIELD.findall(before_the_way_on)
    assert {f"spec.{field}" for field in fields} <= set(SPEC_FIELDS)
    for field in fields:
        assert change_class(field) == "live" or "a new one of another name" in hint
    spec = world.fine_tune["spec"]
    world.edit(
        workers=spec["workers"] | {"resources": {"limits": {"memory": "64Gi"}}}, runtime={"image": "a:2"}
    )
    world.settle()
    assert world.phase == "Failed", "as the hint says"


WAYS = {
    "nothing was saved": (0, "put that right in a new one of another name"),
    "something was saved": (50, "resumeFrom.fineTune: medical lets it go on from the checkpoint of step 50"),
    "all steps are done": (1000, "delete it and apply it again. With storage.retain true its volume stays"),
}


@pytest.mark.parametrize("is_heard", [True, False], ids=["of this operator", "of one before"])
@pytest.mark.parametrize(("step", "way"), WAYS.values(), ids=WAYS.keys())
def test_the_way_on_takes_along_what_was_saved(step: int, way: str, is_heard: bool) -> None:
    world = World().training()
    if step:
        world.checkpoint(step)
    world.live_for(10)
    if not is_heard:
        world.report = None
    world.end(WORKER, 5, told(disk_full(Path("/workspace"))))
    world.finish_job(JOB, "Failed")
    world.settle()
    hint = world.status["failure"]["hint"]
    assert way in hint
    assert ("resumeFrom" in hint) is (step == 50)


def test_the_longest_hint_leaves_room_for_the_way_on() -> None:
    world = World().training()
    failure = Failure(category="Data", reason="Bad", retryable=False, message="m" * 1024, hint="h" * 1024)
    message = TerminationMessage(attempt="a", failure=failure).model_dump_json(by_alias=True)
    world.end(WORKER, 2, message)
    world.finish_job(JOB, "Failed")
    world.settle()
    hint = world.status["failure"]["hint"]
    assert len(hint) <= 1024
    assert hint.endswith("new one of another name")


def test_tries_are_those_of_the_prepare_job() -> None:
    world = World()
    world.settle()
    assert world.children[PREPARE]["spec"]["backoffLimit"] == RETRIES
