"""From preparation to workers: the job follows the spec and the scale subresource, the status the reports."""

from typing import Any

import pytest

from tests.api.client import Json
from tests.api.operator.process import OperatorProcess
from tests.api.operator.test_reporting import accepted, token_of
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]


def replicas(world: World) -> int | None:
    job = world.get("pytorchjobs", "medical")
    return job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] if job else None


@pytest.fixture
def job(operator: OperatorProcess, world: World) -> Json:
    return world.training_job()


def worker(world: World, job: Json) -> Json:
    """Play the training operator and the kubelet: the first worker runs."""
    pod = world.add_worker(job)
    container = {
        **{
            "name": pod["spec"]["containers"][0]["name"],
            "image": "i",
            "imageID": "i",
            "restartCount": 0,
        },
        **{"ready": True, "started": True, "state": {"running": {"startedAt": "2030-01-01T00:00:00Z"}}},
    }
    world.patch(
        "pods",
        "medical-worker-0",
        {"status": {"phase": "Running", "containerStatuses": [container]}},
        "status",
    )
    condition = {"type": "Running", "status": "True", "reason": "PyTorchJobRunning", "message": ""}
    world.patch("pytorchjobs", "medical", {"status": {"conditions": [condition]}}, "status")
    return pod


def test_workers_start_once_the_data_is_prepared(world: World, job: Json) -> None:
    assert replicas(world) == 1
    assert world.until(lambda: world.status().get("dataset"))["rows"] == 8


@pytest.mark.parametrize("subresource", ["", "scale"], ids=["the spec", "the scale subresource"])
def test_a_new_number_of_workers_reaches_the_job(world: World, job: Json, subresource: str) -> None:
    wanted: Json = {"spec": {"replicas": 3} if subresource else {"workers": {"replicas": 3}}}
    world.patch("llmfinetunes", "medical", wanted, subresource)
    world.until(lambda: replicas(world) == 3)
    assert world.get("pytorchjobs", "medical")["metadata"]["uid"] == job["metadata"]["uid"]  # type: ignore[index]


def test_an_edited_job_is_put_right(world: World, job: Json) -> None:
    edit = {"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 4}}}}
    world.patch("pytorchjobs", "medical", edit)
    world.until(lambda: replicas(world) == 1)


def test_workers_that_were_put_on_the_network_of_their_node_are_taken_off_it(world: World, job: Json) -> None:
    on_the_host = {"template": {"spec": {"hostNetwork": True}}}
    world.patch("pytorchjobs", "medical", {"spec": {"pytorchReplicaSpecs": {"Worker": on_the_host}}})

    def is_off() -> bool:
        live = world.get("pytorchjobs", "medical") or job
        return not live["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"].get("hostNetwork")

    world.until(is_off)


def test_a_deleted_job_is_made_again(world: World, job: Json) -> None:
    world.delete("pytorchjobs", "medical")

    def is_back() -> bool:
        new = world.get("pytorchjobs", "medical")
        return new is not None and new["metadata"]["uid"] != job["metadata"]["uid"]

    world.until(is_back)


def test_a_report_becomes_status_and_then_nothing_is_written(
    operator: OperatorProcess, world: World, job: Json
) -> None:
    pod = worker(world, job)
    environment = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
    report: dict[str, Any] = {
        "attempt": environment["LLMFINETUNE_ATTEMPT"],
        "phase": "Training",
        "step": 21,
        "totalSteps": 50,
        "loss": 1.83,
        "etaSeconds": 90,
    }
    accepted(operator, world, token_of(world, pod), {"llmfinetune": report})
    status = world.until(lambda: world.status() if world.status().get("progress") else None)
    assert (status["phase"], status["progress"]["step"], status["metrics"]["loss"]) == (
        "Training",
        21,
        "1.83",
    )
    before = world.settled()
    writes = operator.num_writes()
    assert world.settled(quiet=6.0) == before
    assert operator.num_writes() == writes
