"""Jobs in a queue: made once, suspended, never written again; another number of workers is another job."""

import copy
from typing import Any

import pytest

from llmfinetune_operator.observed import ChildRef
from tests.unit.operator.decide.world import JOB, PREPARE, World

QUEUE = {"queueName": "team-a"}
FLAVOR = {"kubernetes.io/arch": "amd64", "pool": "spare"}
TAINT = {"key": "spare", "operator": "Exists"}


def template(job: dict[str, Any]) -> dict[str, Any]:
    spec = job["spec"]
    found: dict[str, Any] = spec.get("template") or spec["pytorchReplicaSpecs"]["Worker"]["template"]
    return found


def run_policy(job: dict[str, Any]) -> dict[str, Any]:
    """What holds `suspend`."""
    found: dict[str, Any] = job["spec"].get("runPolicy") or job["spec"]
    return found


def admit(world: World, ref: ChildRef) -> None:
    """Kueue admits a job to a flavor: node selector, toleration and label of it go into the pod template."""
    job = world.children[ref]
    run_policy(job)["suspend"] = False
    template(job)["metadata"]["labels"]["kueue.x-k8s.io/podset"] = "main"
    template(job)["spec"].setdefault("nodeSelector", {}).update(FLAVOR)
    template(job)["spec"].setdefault("tolerations", []).append(TAINT)


def evict(world: World) -> None:
    """Kueue takes the admission back, and restores the template; the training operator removes the pods."""
    job = world.children[JOB]
    run_policy(job)["suspend"] = True
    del template(job)["metadata"]["labels"]["kueue.x-k8s.io/podset"]
    del template(job)["spec"]["nodeSelector"]
    del template(job)["spec"]["tolerations"]
    world.pods = {name: pod for name, pod in world.pods.items() if "worker" not in name}


def queued(**changes: Any) -> World:
    """Up to a training job that waits for its admission."""
    world = World(runPolicy=QUEUE, **changes)
    world.settle()
    world.bind()
    admit(world, PREPARE)
    world.pod("medical-prepare-x", PREPARE)
    world.settle()
    world.end("medical-prepare-x", 0)
    world.finish_job(PREPARE, "Complete")
    world.settle()
    return world


def training(**changes: Any) -> World:
    """Up to workers that run in the queue's time."""
    world = queued(**changes)
    admit(world, JOB)
    world.start_workers()
    world.settle()
    return world


def test_both_jobs_are_made_suspended_with_the_label_of_the_queue() -> None:
    world = World(runPolicy=QUEUE)
    world.settle()
    assert world.children[PREPARE]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert run_policy(world.children[PREPARE])["suspend"] is True
    world = queued()
    assert world.children[JOB]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert run_policy(world.children[JOB])["suspend"] is True


def test_the_phase_is_queued_while_a_job_waits() -> None:
    world = World(runPolicy=QUEUE)
    world.settle()
    assert (world.phase, world.condition("Admitted")) == ("Queued", ("False", "Queued"))
    assert world.condition("Ready") == ("False", "Queued")
    world.bind()
    admit(world, PREPARE)
    world.pod("medical-prepare-x", PREPARE)
    world.settle()
    assert (world.phase, world.condition("Admitted")) == ("Preparing", ("True", "Admitted"))
    world.end("medical-prepare-x", 0)
    world.finish_job(PREPARE, "Complete")
    world.settle()
    assert (world.phase, world.condition("Admitted")) == ("Queued", ("False", "Queued"))
    admit(world, JOB)
    world.start_workers()
    world.settle()
    assert (world.phase, world.condition("Admitted")) == ("Training", ("True", "Admitted"))
    assert world.posted.count("Queued") == 2


def test_what_kueue_writes_into_a_job_stays() -> None:
    world = training(workers={"replicas": 2, "tolerations": [{"key": "dedicated", "operator": "Exists"}]})
    before = copy.deepcopy(world.children[JOB])
    world.edit(runPolicy={**QUEUE, "maxRestarts": 3, "activeDeadline": "5h"})
    world.settle()
    assert world.children[JOB] == before


def test_an_eviction_is_a_wait_and_no_loss() -> None:
    world = training()
    evict(world)
    before = copy.deepcopy(world.children[JOB])
    world.settle()
    assert world.phase == "Queued"
    assert world.children[JOB] == before
    admit(world, JOB)
    world.wait(400)
    world.start_workers()
    world.settle()
    assert world.phase == "Training"
    told = world.status["workers"]
    assert (told["restarts"], told["failures"], world.status["attempt"]) == (0, 0, 1)


def test_another_number_of_workers_is_another_job_that_waits_anew() -> None:
    world = training()
    first = world.children[JOB]["metadata"]["uid"]
    world.edit(workers={"replicas": 3, "minReplicas": 1, "maxReplicas": 4})
    world.settle()
    job = world.children[JOB]
    assert job["metadata"]["uid"] != first
    assert (run_policy(job)["suspend"], TAINT in template(job)["spec"]["tolerations"]) == (True, False)
    assert job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] == 3
    assert world.phase == "Queued"
    told = world.status["workers"]
    assert (told["rescales"], told["lastRescaleReason"]) == (1, "Scaled")
    assert (told["restarts"], told["failures"], world.status["attempt"]) == (0, 0, 2)


def test_the_new_job_is_made_only_when_the_old_workers_are_gone() -> None:
    world = training()
    leaving = copy.deepcopy(world.pods["medical-worker-0"])
    world.edit(workers={"replicas": 1, "minReplicas": 1, "maxReplicas": 4})
    world.reconcile()
    world.reconcile()
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    world.pods["medical-worker-0"] = leaving
    world.settle()
    assert JOB not in world.children
    del world.pods["medical-worker-0"]
    world.settle()
    assert JOB in world.children


@pytest.mark.parametrize("start", [queued, training], ids=["while it waits", "while it trains"])
def test_a_pause_takes_the_job_out_of_the_queue_and_its_end_puts_it_back(start: Any) -> None:
    world = start()
    world.edit(runPolicy={**QUEUE, "suspend": True})
    world.settle()
    assert (JOB in world.children, world.phase) == (False, "Suspended")
    world.edit(runPolicy={**QUEUE, "suspend": False})
    world.settle()
    assert run_policy(world.children[JOB])["suspend"] is True
    assert (world.phase, world.status["attempt"]) == ("Queued", 1)


def test_a_pause_while_preparation_waits_takes_it_out_of_the_queue() -> None:
    world = World(runPolicy=QUEUE)
    world.settle()
    world.edit(runPolicy={**QUEUE, "suspend": True})
    world.settle()
    assert (PREPARE in world.children, world.phase) == (False, "Suspended")
    world.edit(runPolicy=QUEUE)
    world.settle()
    assert (PREPARE in world.children, world.phase) == (True, "Queued")


@pytest.mark.parametrize(
    ("policy", "suspended"), [({"queueName": "team-b"}, True), ({}, False)], ids=["another queue", "no queue"]
)
def test_a_change_of_queue_is_another_job(policy: dict[str, Any], suspended: bool) -> None:
    world = training()
    world.edit(runPolicy=policy)
    world.settle()
    job = world.children[JOB]
    assert job["metadata"]["labels"].get("kueue.x-k8s.io/queue-name") == policy.get("queueName")
    assert (run_policy(job)["suspend"], world.status["attempt"]) == (suspended, 2)


def test_preparation_moves_to_another_queue() -> None:
    world = World(runPolicy=QUEUE)
    world.settle()
    world.edit(runPolicy={"queueName": "team-b"})
    world.settle()
    assert world.children[PREPARE]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-b"


def test_workers_without_a_node_are_told_of_but_their_number_is_kueue_s() -> None:
    world = training(workers={"replicas": 2, "minReplicas": 1, "maxReplicas": 4})
    world.pod("medical-worker-1", JOB, "Pending")
    world.settle()
    world.wait(1000)
    world.settle()
    assert world.children[JOB]["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] == 2
    assert world.condition("WorkersScheduled") == ("False", "Waiting")


def test_time_in_the_queue_does_not_count_against_the_deadline() -> None:
    world = queued()
    before = world.status.get("activeSeconds")
    for _ in range(10):
        world.wait(600)
        world.settle()
    assert world.status.get("activeSeconds") == before
