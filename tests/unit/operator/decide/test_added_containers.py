"""Sidecars and init containers of meshes and agents: what they hold up is told, with their name."""

from typing import Any

from llmfinetune_operator.policies.outlived import PATIENCE
from llmfinetune_operator.times import format_time
from tests.unit.operator.decide.world import JOB, PREPARE, World

POD, WORKER = "medical-prepare-x", "medical-worker-0"


def add(pod: dict[str, Any], *, field: str = "containerStatuses", **state: Any) -> None:
    """Something in the cluster has added a container to the pod."""
    name, image = "istio-proxy", "mesh.example.com/proxyv2:1"
    spec = "containers" if field == "containerStatuses" else "initContainers"
    pod["spec"].setdefault(spec, []).append({"name": name, "image": image})
    pod["status"].setdefault(field, []).append({"name": name, "state": state})


def ends_beside_a_proxy(world: World, name: str, code: int) -> None:
    world.end(name, code)
    world.pods[name]["status"]["phase"] = "Running"
    add(world.pods[name], running={"startedAt": format_time(world.now)})
    world.settle()


def preparing() -> World:
    world = World()
    world.settle()
    world.bind()
    world.pod(POD, PREPARE)
    world.settle()
    return world


def test_preparation_that_a_proxy_keeps_from_ending_is_told_with_the_proxy_s_name() -> None:
    world = preparing()
    ends_beside_a_proxy(world, POD, 0)
    assert "failure" not in world.status
    world.live_for(PATIENCE.total_seconds() + 1)
    failure = world.status["failure"]
    assert (failure["reason"], failure["pod"]) == ("PodOutlived", POD)
    assert "'istio-proxy'" in failure["message"]
    world.end(POD, 0)
    world.finish_job(PREPARE, "Complete")
    world.settle()
    assert JOB in world.children
    assert "failure" not in world.status


def test_a_worker_that_a_proxy_keeps_from_ending_is_told_while_it_lasts() -> None:
    world = World().training()
    world.told(step=10, total_steps=10, result=world.result())
    ends_beside_a_proxy(world, WORKER, 0)
    world.live_for(PATIENCE.total_seconds() + 1)
    assert world.status["failure"]["reason"] == "PodOutlived"
    world.end(WORKER, 0)
    world.finish_job(JOB, "Succeeded")
    world.settle()
    assert world.phase == "Succeeded"


def test_a_proxy_that_ends_while_we_work_is_none_of_our_failures() -> None:
    world = World().training()
    add(world.pods[WORKER], terminated={"exitCode": 137})
    world.live_for(600)
    assert (world.phase, world.status["workers"]["restarts"]) == ("Training", 0)
    assert "failure" not in world.status


def test_an_image_of_an_added_container_is_not_looked_for_in_the_spec() -> None:
    world = preparing()
    pod = world.pods[POD]
    pod["status"]["phase"] = "Pending"
    waiting = {"reason": "ImagePullBackOff", "message": "denied"}
    add(pod, field="initContainerStatuses", waiting=waiting)
    world.settle()
    failure = world.status["failure"]
    assert (failure["category"], failure["reason"]) == ("Image", "ImagePullFailed")
    assert "'mesh.example.com/proxyv2:1' of container 'istio-proxy'" in failure["message"]
    assert "runtime.image" not in failure["hint"]


def test_a_worker_whose_added_init_container_fails_counts_as_lost() -> None:
    world = World().training()
    pod = world.pods[WORKER]
    pod["status"] = {"phase": "Failed"}
    add(pod, field="initContainerStatuses", terminated={"exitCode": 1})
    world.settle()
    assert world.status["failure"]["reason"] == "AddedContainerFailed"
    assert world.status["workers"]["restarts"] == 1
