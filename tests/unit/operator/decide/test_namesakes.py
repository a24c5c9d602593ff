"""Pods of a deleted fine-tune of the same name: they take up names, and tell nothing about this one."""

from typing import Any

from llmfinetune_operator.observed import ChildRef
from llmfinetune_trainer.config.messages import DatasetFacts, TerminationMessage
from tests.unit.operator.decide.world import DIGEST, JOB, PREPARE, World

OTHER = "99999999-2222-3333-4444-555555555555"
FACTS = DatasetFacts(rows=1, tokens=2, supervised_tokens=1, digest=DIGEST)


def of_another(pod: dict[str, Any]) -> dict[str, Any]:
    """The pod, as one that was made for an earlier fine-tune of the name."""
    variables = pod["spec"]["containers"][0]["env"]
    (attempt,) = (each for each in variables if each["name"] == "LLMFINETUNE_ATTEMPT")
    attempt["value"] = f"{OTHER}-1"
    pod["owner"] = "a job that is gone"
    return pod


def test_what_another_preparation_found_or_failed_of_is_not_told() -> None:
    world = World()
    world.settle()
    world.bind()
    message = TerminationMessage(attempt=f"{OTHER}-0", dataset=FACTS).model_dump_json(by_alias=True)
    for name, code in (("medical-prepare-a", 0), ("medical-prepare-b", 2)):
        of_another(world.pod(name, PREPARE))
        world.end(name, code, message)
    world.settle()
    assert world.phase == "Pending"
    assert not {"dataset", "failure"} & world.status.keys()


def test_another_s_workers_are_no_workers_of_this_one_and_hold_its_names() -> None:
    world = World()
    world.prepared()
    job = world.children[JOB]
    of_another(world.pod("medical-worker-0", JOB))
    world.lose(ChildRef(*JOB))
    world.settle()
    assert JOB not in world.children
    assert (world.phase, world.status["workers"]["ready"]) != ("Training", 1)
    del world.pods["medical-worker-0"]
    world.settle()
    assert world.children[JOB]["metadata"]["uid"] != job["metadata"]["uid"]


def test_how_another_s_worker_ends_costs_this_one_nothing() -> None:
    world = World().training()
    of_another(world.pod("medical-worker-3", JOB))
    world.end("medical-worker-3", 137)
    world.live_for(600)
    assert (world.phase, world.status["workers"]["restarts"]) == ("Training", 0)
