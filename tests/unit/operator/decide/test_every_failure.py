"""A failure of every category is told in the status with its fix, as an Event, and in the metric."""

from collections.abc import Callable
from typing import NamedTuple, get_args

import pytest

from llmfinetune_trainer.config.messages import Category, TerminationMessage
from tests.unit.operator.decide.test_lost_nodes import fall_silent, give_up, on_node
from tests.unit.operator.decide.test_troubles import image_pull, secret_missing, volume_elsewhere
from tests.unit.operator.decide.world import JOB, PREPARE, World, failure_message

WORKER = "medical-worker-1"


class Case(NamedTuple):
    happens: Callable[[World], object]
    retryable: bool


def preparation_ends(category: str) -> Callable[[World], None]:
    def end(world: World) -> None:
        world.settle()
        world.pod("medical-prepare-x", PREPARE)
        world.end("medical-prepare-x", 2, failure_message(category, "Wrong"))
        world.finish_job(PREPARE, "Failed")

    return end


def worker_ends(code: int, message: str = "", reason: str = "Error") -> Callable[[World], None]:
    def end(world: World) -> None:
        world.training().end(WORKER, code, message, reason)
        if code < 128:
            world.finish_job(JOB, "Failed")

    return end


def disrupted(word: str) -> Callable[[World], None]:
    return lambda world: world.training().disrupt(WORKER, word)


def deadline_passes(world: World) -> None:
    world.edit(runPolicy={"activeDeadline": "1h"})
    world.training().live_for(3600)


EVERY: dict[Category, Case] = {
    "UserError": Case(preparation_ends("UserError"), retryable=False),
    "Data": Case(preparation_ends("Data"), retryable=False),
    "ModelAccess": Case(secret_missing, retryable=True),
    "OutOfMemory": Case(worker_ends(137, reason="OOMKilled"), retryable=True),
    "DiskFull": Case(worker_ends(5), retryable=False),
    "Image": Case(image_pull, retryable=True),
    "Scheduling": Case(disrupted("OutOfcpu"), retryable=True),
    "Volume": Case(volume_elsewhere, retryable=True),
    "Network": Case(worker_ends(138), retryable=True),
    "Preempted": Case(disrupted("PreemptionByScheduler"), retryable=True),
    "Evicted": Case(disrupted("EvictionByEvictionAPI"), retryable=True),
    "NodeLost": Case(disrupted("DeletionByTaintManager"), retryable=True),
    "Diverged": Case(worker_ends(4, failure_message("Diverged", "LossNotFinite")), retryable=False),
    "Deadline": Case(deadline_passes, retryable=False),
    "Internal": Case(worker_ends(137), retryable=True),
}


def test_no_category_is_left_out() -> None:
    assert set(EVERY) == set(get_args(Category))


@pytest.mark.parametrize("category", EVERY)
def test_a_failure_is_told_with_its_fix_as_an_event_and_in_the_metric(category: Category) -> None:
    world, case = World(), EVERY[category]
    case.happens(world)
    world.settle()
    failure = world.status["failure"]
    assert (failure["category"], failure["retryable"]) == (category, case.retryable)
    assert failure["hint"]
    assert {failure["reason"], "Failed"} & set(world.posted)
    assert world.counted == [category]


def is_still_there(world: World) -> None:
    """The pod that failed can be looked at."""


def is_leaving(world: World) -> None:
    world.tell_to_go(world.pods[WORKER])


def is_gone(world: World) -> None:
    world.failed_pods.append(world.pods.pop(WORKER))


INTERRUPTED = ["PreemptionByScheduler", "EvictionByEvictionAPI", "Evicted", "NodeShutdown", "OutOfcpu"]


@pytest.mark.parametrize("found", [is_still_there, is_leaving, is_gone])
@pytest.mark.parametrize("word", INTERRUPTED)
def test_an_interruption_is_told_until_the_worker_is_back_and_costs_nothing(
    word: str, found: Callable[[World], None]
) -> None:
    world = World(runPolicy={"maxRestarts": 0}).training()
    message = TerminationMessage(attempt="a", log_tail="step 7 hf_abcdefghijkl")
    world.end(WORKER, 143, message.model_dump_json(by_alias=True))
    world.disrupt(WORKER, word, None)
    found(world)
    world.settle()
    told = world.status["failure"]
    assert (told["pod"], told["exitCode"], told["logTail"]) == (WORKER, 143, "step 7 [redacted]")
    assert world.posted.count(told["reason"]) == 1
    pod = world.pod(WORKER, JOB, "Pending")
    world.live_for(60)
    assert world.status["failure"] == told
    pod["status"] = world.pods["medical-worker-0"]["status"]
    world.settle()
    assert "failure" not in world.status
    assert (world.phase, world.counted) == ("Training", [told["category"]])
    workers = world.status["workers"]
    assert (workers["restarts"], workers["failures"]) == (1, 0)


def test_a_worker_that_is_given_up_with_its_node_is_told_of_until_all_are_back() -> None:
    world = World().training()
    on_node(world.pods[WORKER])
    fall_silent(world, WORKER)
    give_up(world, WORKER)
    world.live_for(60)
    assert world.status["failure"]["reason"] == "NodeUnreachable"
    world.start_workers()
    world.settle()
    assert "failure" not in world.status
    assert (world.posted.count("NodeUnreachable"), world.counted) == (1, ["NodeLost"])


def test_each_interruption_counts_and_those_of_one_incident_once() -> None:
    world = World().training()
    for _ in range(2):
        world.wait(60)
        for name in ("medical-worker-0", WORKER):
            world.disrupt(name, "PreemptionByScheduler")
            world.settle()
            world.pod(name, JOB, "Pending")
            world.settle()
    assert world.counted == ["Preempted", "Preempted"]


def test_what_cost_a_worker_its_peer_is_told_when_it_is_found() -> None:
    world = World().training()
    world.end(WORKER, 138)
    world.tell_to_go(world.pods["medical-worker-0"])
    world.settle()
    assert world.status["failure"]["category"] == "Network"
    world.pod(WORKER, JOB, "Pending")
    world.disrupt("medical-worker-0", "EvictionByEvictionAPI")
    world.settle()
    assert world.status["failure"]["category"] == "Evicted"
    assert world.counted == ["Network", "Evicted"]
    assert world.status["workers"]["restarts"] == 1


def test_a_failed_preparation_is_told_until_its_next_pod_works() -> None:
    world = World()
    world.settle()
    world.bind()
    world.pod("medical-prepare-x", PREPARE)
    world.end("medical-prepare-x", 138)
    world.settle()
    assert world.status["failure"]["category"] == "Network"
    world.wait(10)
    world.pod("medical-prepare-y", PREPARE, "Pending")
    world.settle()
    assert world.status["failure"]["category"] == "Network"
    world.pod("medical-prepare-y", PREPARE)
    world.settle()
    assert "failure" not in world.status
