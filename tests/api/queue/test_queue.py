"""A queue says when jobs run, and where; the operator leaves to it what it sets."""

import copy
import time
from typing import Any

import pytest

from tests.api.client import Json
from tests.api.operator.process import OperatorProcess
from tests.api.operator.world import World
from tests.api.queue.kueue import FLAVOR_SELECTOR, FLAVOR_TOLERATION, Kueue

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]
POLICY = {"queueName": "team-a"}
OWN_TOLERATION = {"key": "dedicated", "operator": "Exists"}
NODE_TOLERATIONS = [
    {
        "key": f"node.kubernetes.io/{taint}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 30,
    }
    for taint in ("not-ready", "unreachable")
]
MADE_WITH = [OWN_TOLERATION, *NODE_TOLERATIONS]
WORKERS = {
    "replicas": 2,
    "minReplicas": 1,
    "maxReplicas": 4,
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [OWN_TOLERATION],
}


def phase(world: World) -> str | None:
    found: str | None = world.status().get("phase")
    return found


def job(world: World) -> Json | None:
    return world.get("pytorchjobs", "medical")


def suspended(found: Json | None) -> bool | None:
    return found["spec"]["runPolicy"].get("suspend") if found else None


def pod_spec(found: Json | None) -> Json:
    spec: Json = (found or {})["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]
    return spec


@pytest.fixture
def queued(operator: OperatorProcess, kueue: Kueue, world: World) -> Json:
    """A fine-tune whose training job waits in the queue, after a preparation that the queue let run."""
    world.create(runPolicy=POLICY, workers=WORKERS)
    world.until(lambda: phase(world) == "Queued")
    kueue.quota = 1
    world.finish_prepare()
    made: Json = world.until(lambda: job(world))
    world.until(lambda: phase(world) == "Queued")
    return made


@pytest.fixture
def admitted(kueue: Kueue, world: World, queued: Json) -> Json:
    """A fine-tune whose training job was admitted."""
    kueue.quota = 4
    world.until(lambda: suspended(job(world)) is False)
    found = job(world)
    assert found is not None
    return found


def condition(world: World, kind: str) -> tuple[str, str] | None:
    found = [each for each in world.status().get("conditions", ()) if each["type"] == kind]
    return (found[0]["status"], found[0]["reason"]) if found else None


def test_the_queue_lets_preparation_run_first(operator: OperatorProcess, kueue: Kueue, world: World) -> None:
    world.create(runPolicy=POLICY)
    world.until(lambda: phase(world) == "Queued")
    prepare = world.get("jobs", "medical-prepare")
    assert prepare is not None
    assert (prepare["spec"]["suspend"], world.list("pods")) == (True, [])
    kueue.quota = 1
    assert world.pod_of_prepare()["spec"]["nodeSelector"] == FLAVOR_SELECTOR
    world.until(lambda: condition(world, "Admitted") == ("True", "Admitted"))


def test_a_job_without_quota_stays_suspended_and_the_phase_says_why(
    operator: OperatorProcess, world: World, queued: Json
) -> None:
    assert suspended(queued) is True
    assert condition(world, "Admitted") == ("False", "Queued")
    before = world.settled()
    writes = operator.num_writes()
    assert world.settled(quiet=4.0) == before
    assert operator.num_writes() == writes


def test_what_the_queue_sets_on_admission_stays(
    operator: OperatorProcess, kueue: Kueue, world: World, admitted: Json
) -> None:
    world.until(lambda: condition(world, "Admitted") == ("True", "Admitted"))
    edit = {"maxRestarts": 3, "activeDeadline": "5h"}
    world.patch("llmfinetunes", "medical", {"spec": {"runPolicy": edit}})
    world.settled()
    found = job(world)
    assert pod_spec(found)["nodeSelector"] == {**WORKERS["nodeSelector"], **FLAVOR_SELECTOR}  # type: ignore[dict-item]
    assert pod_spec(found)["tolerations"] == [*MADE_WITH, FLAVOR_TOLERATION]
    assert (found or {})["metadata"]["generation"] == admitted["metadata"]["generation"]
    assert "NoMatchingWorkload PyTorchJob medical" not in kueue.told
    operator.kill()
    operator.start()
    world.settled()
    assert (job(world) or {})["metadata"]["resourceVersion"] == (found or {})["metadata"]["resourceVersion"]


def test_an_evicted_job_waits_again_and_is_admitted_again(
    operator: OperatorProcess, kueue: Kueue, world: World, admitted: Json
) -> None:
    kueue.quota = 0
    kueue.evict(admitted["metadata"]["uid"])
    world.until(lambda: suspended(job(world)) is True)
    world.until(lambda: phase(world) == "Queued")
    world.settled()
    assert pod_spec(job(world))["tolerations"] == MADE_WITH
    kueue.quota = 4
    world.until(lambda: suspended(job(world)) is False)
    world.settled()
    found = job(world)
    assert found is not None
    assert found["metadata"]["uid"] == admitted["metadata"]["uid"]
    assert pod_spec(found)["tolerations"] == [*MADE_WITH, FLAVOR_TOLERATION]
    workers = world.status()["workers"]
    assert (workers["restarts"], workers["failures"], world.status()["attempt"]) == (0, 0, 1)


@pytest.mark.parametrize("subresource", ["", "scale"], ids=["the spec", "the scale subresource"])
def test_another_number_of_workers_waits_for_an_admission_of_its_own(
    kueue: Kueue, world: World, admitted: Json, subresource: str
) -> None:
    wanted: Json = {"spec": {"replicas": 3} if subresource else {"workers": {"replicas": 3}}}
    kueue.quota = 2
    world.patch("llmfinetunes", "medical", wanted, subresource)
    world.until(lambda: (job(world) or admitted)["metadata"]["uid"] != admitted["metadata"]["uid"])
    world.until(lambda: phase(world) == "Queued")
    resized: Any = job(world)
    assert (suspended(resized), resized["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"]) == (True, 3)
    assert pod_spec(resized)["tolerations"] == MADE_WITH
    kueue.quota = 3
    world.until(lambda: suspended(job(world)) is False)
    world.settled()
    assert suspended(job(world)) is False
    told = world.status()["workers"]
    assert (told["rescales"], told["lastRescaleReason"], told["restarts"]) == (1, "Scaled", 0)
    assert kueue.told.count("Started PyTorchJob medical") == 2


def test_a_pause_gives_the_quota_back_and_its_end_asks_for_it_anew(
    kueue: Kueue, world: World, admitted: Json
) -> None:
    world.patch("llmfinetunes", "medical", {"spec": {"runPolicy": {"suspend": True}}})
    world.until(lambda: job(world) is None and phase(world) == "Suspended")
    kueue.quota = 0
    world.patch("llmfinetunes", "medical", {"spec": {"runPolicy": {"suspend": False}}})
    world.until(lambda: suspended(job(world)) is True and phase(world) == "Queued")
    time.sleep(1.0)
    assert suspended(job(world)) is True
    kueue.quota = 2
    world.until(lambda: suspended(job(world)) is False)


def test_a_job_that_somebody_resizes_is_replaced_by_the_one_that_is_wanted(
    kueue: Kueue, world: World, admitted: Json
) -> None:
    edit = copy.deepcopy({"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 4}}}})
    world.patch("pytorchjobs", "medical", edit)
    world.until(lambda: (job(world) or admitted)["metadata"]["uid"] != admitted["metadata"]["uid"])
    world.until(lambda: suspended(job(world)) is False)
    found: Any = job(world)
    assert found["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] == 2
