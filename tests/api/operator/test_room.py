"""Workers that find no node, on a real API server: the scheduler and the training operator are played."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.api.client import Json
from tests.api.operator.conftest import operators
from tests.api.operator.process import OperatorProcess
from tests.api.operator.test_training import replicas
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]
WORKERS = {"replicas": 2, "minReplicas": 1, "maxReplicas": 4, "schedulingTimeout": "10s"}
FULL = "0/1 nodes are available: 1 Insufficient memory."


@pytest.fixture(scope="module")
def operator(
    operator_kubeconfig: Path, training_api: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator that soon asks again for workers that found no room."""
    with operators(operator_kubeconfig, tmp_path_factory.mktemp("operator")) as start:
        yield start(env={"LLMFINETUNE_ROOM_RETRY_SECONDS": "2"})


@pytest.fixture
def job(operator: OperatorProcess, world: World) -> Json:
    return world.training_job(workers=WORKERS)


def pod(world: World, job: Json, index: int, *, has_node: bool) -> None:
    """Play the training operator and the scheduler: one worker's pod, with or without a node."""
    world.add_worker(job, index)
    place(world, index, has_node=has_node)


def place(world: World, index: int, *, has_node: bool) -> None:
    """Play the scheduler's verdict, and the kubelet's."""
    since = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    scheduled: Json = {"type": "PodScheduled", "status": str(has_node), "lastTransitionTime": since}
    scheduled |= {} if has_node else {"reason": "Unschedulable", "message": FULL}
    ready = {"type": "Ready", "status": str(has_node), "lastTransitionTime": since}
    status = {"phase": "Running" if has_node else "Pending", "conditions": [scheduled, ready]}
    world.patch("pods", f"medical-worker-{index}", {"status": status}, "status")


def condition(world: World, kind: str) -> Json:
    found = [each for each in world.status().get("conditions", ()) if each["type"] == kind]
    return dict(found[0]) if found else {}


def test_training_goes_on_with_the_workers_that_have_a_node_and_grows_back(world: World, job: Json) -> None:
    pod(world, job, 0, has_node=True)
    pod(world, job, 1, has_node=False)
    world.until(lambda: replicas(world) == 1, timeout=40)
    told: Any = world.until(lambda: world.status()["workers"].get("room"))
    assert (told["limit"], told["message"]) == (1, FULL)
    limited = condition(world, "WorkersScheduled")
    assert (limited["status"], limited["reason"]) == ("False", "InsufficientResources")
    assert "1 of 2 workers" in limited["message"]
    counts = world.status()["workers"]
    assert (counts["rescales"], counts["lastRescaleReason"]) == (1, "InsufficientResources")
    world.delete("pods", "medical-worker-1")
    world.until(lambda: replicas(world) == 2, timeout=40)
    pod(world, job, 1, has_node=True)
    world.until(lambda: condition(world, "WorkersScheduled").get("status") == "True", timeout=40)
    counts = world.status()["workers"]
    assert (counts["rescales"], counts["lastRescaleReason"]) == (2, "ResourcesAvailable")
    assert (counts["desired"], counts["restarts"], "room" in counts) == (2, 0, False)


def test_an_autoscaler_finds_the_workers_by_the_scale_subresource(world: World, job: Json) -> None:
    pod(world, job, 0, has_node=True)
    pod(world, job, 1, has_node=True)
    world.until(lambda: world.status()["workers"]["ready"] == 2)
    scale = world.client.request("GET", world.path("llmfinetunes", "medical", "scale")).body
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (2, 2)
    selector = scale["status"]["selector"].replace(",", "%2C").replace("=", "%3D")
    found = world.client.request("GET", f"{world.path('pods')}?labelSelector={selector}").body["items"]
    assert {each["metadata"]["name"] for each in found} == {"medical-worker-0", "medical-worker-1"}
