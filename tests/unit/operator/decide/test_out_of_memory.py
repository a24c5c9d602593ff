"""Out of memory: half the tokens at once, twice at most, and then an end with numbers."""

import json
from typing import Any

import pytest

from tests.unit.operator.decide.world import JOB, PREPARE, World, failure_message

WORKER = "medical-worker-0"
LIMITED = {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "4Gi"}}}


def micro_batch(world: World) -> int | None:
    config = next(child for ref, child in world.children.items() if ref.name == "medical-run")
    tokens: int | None = json.loads(config["data"]["run.json"])["runtime"]["microBatchTokens"]
    return tokens


def runs_out(world: World) -> None:
    world.wait(60)
    world.end(WORKER, 137, reason="OOMKilled")
    world.settle()
    if world.phase != "Failed":
        world.start_workers()
        world.settle()


def test_the_next_attempt_computes_half_as_many_tokens_at_once() -> None:
    world = World().training()
    assert micro_batch(world) is None
    runs_out(world)
    assert (world.status["attempt"], micro_batch(world)) == (2, 1024)
    (remedy,) = world.status["remedies"]
    assert remedy["attempt"] == 2
    assert (remedy["microBatchTokensBefore"], remedy["microBatchTokens"]) == (2048, 1024)
    assert "SmallerMicroBatches" in world.posted
    assert JOB in world.children
    assert world.phase == "Training"


def test_the_third_time_is_final_and_names_the_numbers() -> None:
    world = World(workers={"replicas": 2, "maxReplicas": 4, **LIMITED}).training()
    for _ in range(3):
        runs_out(world)
    assert world.phase == "Failed"
    assert world.status["workers"]["failures"] == 3
    failure = world.status["failure"]
    assert (failure["category"], failure["retryable"]) == ("OutOfMemory", False)
    for number in ("4Gi", "2048, 1024, 512", "512"):
        assert number in failure["hint"]
    assert world.posted.count("SmallerMicroBatches") == 2


@pytest.mark.parametrize(
    ("changes", "attempts"),
    [
        pytest.param({"runtime": {"microBatchTokens": 256}}, [128], id="down to the least"),
        pytest.param({"runtime": {"microBatchTokens": 255}}, [], id="not below the least"),
        pytest.param({"runPolicy": {"maxRestarts": 0}}, [], id="no try where none is allowed"),
        pytest.param({"runPolicy": {"maxRestarts": 1}}, [1024], id="as many as are allowed"),
    ],
)
def test_remedies_have_bounds(changes: dict[str, Any], attempts: list[int]) -> None:
    world = World(**changes).training()
    while world.phase != "Failed":
        runs_out(world)
    assert [remedy["microBatchTokens"] for remedy in world.status["remedies"]] == attempts


def test_a_trainer_that_could_not_allocate_gets_the_remedy_too() -> None:
    world = World().training()
    world.end(WORKER, 3, failure_message("OutOfMemory", "AllocationFailed"))
    world.finish_job(JOB, "Failed")
    world.settle()
    assert (world.status["attempt"], micro_batch(world)) == (2, 1024)


def test_a_smaller_micro_batch_of_the_users_wins() -> None:
    world = World().training()
    runs_out(world)
    world.edit(runtime={"microBatchTokens": 256})
    world.settle()
    assert micro_batch(world) == 256


def test_what_the_trainer_chose_by_itself_is_halved() -> None:
    world = World().training()
    facts = {"backend": "torch", "communication": "none", "precision": "bf16", "isa": "avx2", "threads": 1}
    world.told(runtime=facts | {"world_size": 1, "micro_batch_tokens": 512})
    world.settle()
    runs_out(world)
    assert micro_batch(world) == 256


def test_preparation_out_of_memory_is_final_at_once() -> None:
    world = World(workers={"replicas": 1, **LIMITED})
    world.settle()
    world.bind()
    world.pod("medical-prepare-x", PREPARE)
    world.end("medical-prepare-x", 137, reason="OOMKilled")
    world.settle()
    assert world.phase == "Failed"
    assert PREPARE not in world.children, "the Job's own retries end with it"
    failure = world.status["failure"]
    assert (failure["category"], failure["retryable"]) == ("OutOfMemory", False)
    assert "4Gi" in failure["hint"]
