"""A worker whose node is gone, on a real API server: the control plane is played, nobody ends the pod."""

from datetime import UTC, datetime

import pytest

from llmfinetune_operator.constants import ANNOTATION_ATTEMPT
from tests.api.client import Json
from tests.api.operator.process import OperatorProcess
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]
WORKER = "medical-worker-0"


@pytest.fixture
def job(operator: OperatorProcess, world: World) -> Json:
    return world.training_job()


def tell(world: World, *, ready: bool) -> None:
    """Play the kubelet, or the control plane that has not heard of it for long."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [
        {"type": kind, "status": str(status), "lastTransitionTime": now}
        for kind, status in {"PodScheduled": True, "ContainersReady": True, "Ready": ready}.items()
    ]
    world.patch("pods", WORKER, {"status": {"phase": "Running", "conditions": conditions}}, "status")


def test_workers_start_anew_though_nobody_ends_the_lost_one(world: World, job: Json) -> None:
    world.add_worker(job, nodeName="far-away")
    tell(world, ready=True)
    world.until(lambda: world.status()["workers"]["ready"] == 1)
    tell(world, ready=False)
    failure: Json = world.until(lambda: world.status().get("failure"))
    assert (failure["category"], failure["pod"]) == ("NodeLost", WORKER)
    assert "far-away" in failure["message"]
    answer = world.client.request("DELETE", world.path("pods", WORKER), {"gracePeriodSeconds": 1})
    assert answer.body["metadata"]["deletionTimestamp"]
    world.until(lambda: world.get("pytorchjobs", "medical") is None)
    assert world.get("pods", WORKER) is not None
    counts = world.status()["workers"]
    assert (counts["restarts"], counts["lastRestartReason"]) == (1, "NodeLost")
    world.until(lambda: world.get("pods", WORKER) is None, timeout=30)
    made: Json = world.until(lambda: world.get("pytorchjobs", "medical"))
    assert made["metadata"]["annotations"][ANNOTATION_ATTEMPT] == "2"
