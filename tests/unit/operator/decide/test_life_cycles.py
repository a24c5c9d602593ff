"""Whole lives of a fine-tune, from apply to the end, against a cluster in memory."""

from collections.abc import Callable

import pytest

from tests.unit.operator.decide.world import CLAIM, JOB, PREPARE, World, failure_message


def test_apply_makes_everything_that_preparation_needs_and_no_training_job() -> None:
    world = World()
    world.settle()
    kinds = sorted((ref.kind, ref.name) for ref in world.children)
    assert kinds == [
        ("ConfigMap", "medical-run"),
        ("Job", "medical-prepare"),
        ("PersistentVolumeClaim", "medical"),
        ("ServiceAccount", "medical-trainer"),
    ]
    assert world.phase == "Pending"
    assert world.status["observedGeneration"] == 1
    assert world.condition("Ready")[0] == "False"
    assert world.condition("Reconciling")[0] == "True"
    assert world.condition("Stalled")[0] == "False"


def test_phases_from_apply_to_succeeded() -> None:
    world = World()
    world.settle()
    phases = [world.phase]
    world.bind()
    world.pod("medical-prepare-x", PREPARE)
    world.settle()
    phases.append(world.phase)
    world.end("medical-prepare-x", 0)
    world.finish_job(PREPARE, "Complete")
    world.settle()
    phases.append(world.phase)
    world.start_workers()
    world.settle()
    phases.append(world.phase)
    world.told(step=5, total_steps=10, loss=1.8, phase="Evaluating")
    world.wait(10)
    world.settle()
    phases.append(world.phase)
    world.told(step=10, total_steps=10, result=world.result(), phase="Exporting")
    world.finish_job(JOB, "Succeeded")
    world.settle()
    phases.append(world.phase)
    assert phases == ["Pending", "Preparing", "Preparing", "Training", "Evaluating", "Succeeded"]
    assert world.posted == ["PreparationStarted", "TrainingStarted", "Succeeded"]
    assert world.condition("Ready") == ("True", "Succeeded")
    assert world.condition("Reconciling")[0] == "False"
    assert world.status["output"]["adapter"] == "pvc://medical/output/adapter"
    assert world.status["progress"]["percent"] == 100
    assert world.status["completionTime"]


def test_a_succeeded_job_without_a_result_is_not_believed() -> None:
    world = World().training()
    world.finish_job(JOB, "Succeeded")
    world.settle()
    assert world.phase == "Training"
    world.wait(world.settings.result_grace_seconds)
    world.settle()
    assert world.status["failure"]["reason"] == "ResultMissing"
    world.wait(world.settings.retry_delay_seconds)
    world.settle()
    assert world.status["attempt"] == 2
    assert world.children[JOB]["metadata"]["annotations"]["llmfinetune.dev/attempt"] == "2"
    world.start_workers()
    world.told(result=world.result())
    world.finish_job(JOB, "Succeeded")
    world.settle()
    assert world.phase == "Succeeded"


def test_a_result_of_an_earlier_fine_tune_of_this_name_is_not_believed() -> None:
    world = World().training()
    world.told(result=world.result().model_copy(update={"attempt": "other-uid-1"}))
    world.finish_job(JOB, "Succeeded")
    world.settle()
    assert world.phase == "Training"


def test_a_result_in_a_termination_message_counts_when_no_report_came() -> None:
    world = World().training()
    message = f'{{"attempt": "a", "result": {world.result().model_dump_json(by_alias=True)}}}'
    world.end("medical-worker-0", 0, message)
    world.finish_job(JOB, "Succeeded")
    world.settle()
    assert world.phase == "Succeeded"


def test_user_error_in_preparation_fails_before_any_worker() -> None:
    world = World()
    world.settle()
    world.pod("medical-prepare-x", PREPARE)
    world.end("medical-prepare-x", 2, failure_message("Data", "ColumnMissing"))
    world.finish_job(PREPARE, "Failed", "Pod failed with exit code 2")
    world.settle()
    assert world.phase == "Failed"
    assert JOB not in world.children
    failure = world.status["failure"]
    assert (failure["category"], failure["reason"]) == ("Data", "ColumnMissing")
    assert failure["hint"].startswith("what to do. ")
    assert (failure["exitCode"], failure["pod"]) == (2, "medical-prepare-x")
    assert world.condition("Stalled") == ("True", "ColumnMissing")
    assert world.posted[-1] == "Failed"


def test_workers_that_fail_for_good_fail_the_fine_tune() -> None:
    world = World().training()
    world.end("medical-worker-0", 4, failure_message("Diverged", "LossDiverged"))
    world.end("medical-worker-1", 138)
    world.finish_job(JOB, "Failed")
    world.settle()
    assert world.phase == "Failed"
    assert world.status["failure"]["reason"] == "LossDiverged"
    assert world.status["failure"]["pod"] == "medical-worker-0"


def test_retryable_failures_back_off_and_end_after_max_restarts() -> None:
    world = World(runPolicy={"maxRestarts": 2}).training()
    waits = []
    for _ in range(2):
        world.finish_job(JOB, "Failed", "gone")
        world.settle()
        wake_at = world.decide().wake_at
        assert wake_at is not None
        waits.append((wake_at - world.now).total_seconds())
        world.wait(waits[-1])
        world.settle()
        world.start_workers()
        world.settle()
    assert waits == [10.0, 20.0]
    assert world.status["workers"]["restarts"] == 2
    world.finish_job(JOB, "Failed", "gone")
    world.settle()
    assert world.phase == "Failed"
    assert "maxRestarts" in world.status["failure"]["message"]


@pytest.mark.parametrize("replicas", [1, 4])
def test_scaling_reaches_the_running_job_and_counts_once(replicas: int) -> None:
    world = World().training()
    uid = world.children[JOB]["metadata"]["uid"]
    world.edit(workers={"replicas": replicas, "minReplicas": 1, "maxReplicas": 4})
    world.settle()
    job = world.children[JOB]
    assert job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] == replicas
    assert job["metadata"]["uid"] == uid
    workers = world.status["workers"]
    assert (workers["rescales"], workers["lastRescaleReason"], workers["desired"]) == (1, "Scaled", replicas)
    assert workers["restarts"] == 0


def test_suspend_pauses_and_resume_goes_on() -> None:
    world = World().training()
    world.edit(runPolicy={"suspend": True})
    world.settle()
    assert world.children[JOB]["spec"]["runPolicy"]["suspend"] is True
    assert world.phase == "Training"
    world.pods = {name: pod for name, pod in world.pods.items() if "prepare" in name}
    world.settle()
    assert world.phase == "Suspended"
    world.edit(runPolicy={"suspend": False})
    world.settle()
    assert world.children[JOB]["spec"]["runPolicy"]["suspend"] is False
    world.start_workers()
    world.settle()
    assert world.phase == "Training"
    assert world.status["workers"]["restarts"] == 0
    assert world.status["attempt"] == 1


def test_suspended_from_the_start_makes_no_job() -> None:
    world = World(runPolicy={"suspend": True})
    world.settle()
    assert not {PREPARE, JOB} & set(world.children)
    assert world.phase == "Suspended"
    assert "startTime" not in world.status


RESTORED: dict[str, Callable[[World], object]] = {
    "a deleted ConfigMap": lambda w: [w.lose(r) for r in list(w.children) if r.name == "medical-run"],
    "a deleted ServiceAccount": lambda w: [w.lose(r) for r in list(w.children) if r.kind == "ServiceAccount"],
    "an edited number of workers": lambda w: w.children[JOB]["spec"]["pytorchReplicaSpecs"]["Worker"].update(
        replicas=3
    ),
    "edited labels": lambda w: w.children[JOB]["metadata"].update(labels={}),
    "a removed attempt annotation": lambda w: w.children[JOB]["metadata"].update(annotations={}),
    "an edited run configuration": lambda w: [
        c.update(data={}) for r, c in w.children.items() if r.name == "medical-run"
    ],
}


@pytest.mark.parametrize("damage", RESTORED.values(), ids=RESTORED.keys())
def test_damage_is_repaired(damage: Callable[[World], object]) -> None:
    world = World().training()
    before = world.contents()
    damage(world)
    assert world.contents() != before
    world.settle()
    assert world.contents() == before


def test_a_deleted_training_job_is_made_anew_once_its_pods_are_gone() -> None:
    world = World().training()
    pods = dict(world.pods)
    world.lose(JOB)
    world.pods = pods
    world.settle()
    assert JOB not in world.children
    world.pods = {}
    world.settle()
    assert JOB in world.children
    assert world.status["attempt"] == 1


def test_a_restart_class_change_replaces_the_job_and_counts_no_restart() -> None:
    world = World().training()
    world.edit(workers={"replicas": 2, "maxReplicas": 4, "resources": {"requests": {"cpu": "2"}}})
    world.settle()
    job = world.children[JOB]
    container = job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    assert container["resources"]["requests"]["cpu"] == "2"
    assert job["metadata"]["annotations"]["llmfinetune.dev/attempt"] == "2"
    assert world.status["workers"]["restarts"] == 0


def test_an_upgraded_operator_with_another_image_leaves_running_workers_alone() -> None:
    world = World().training()
    world.settings = world.settings.model_copy(update={"trainer_image": "trainer:2"})
    assert world.reconcile() == 0


def test_a_restarted_operator_writes_nothing() -> None:
    world = World().training()
    world.told(step=5, total_steps=10, loss=1.8)
    world.settle()
    world.report = None
    world.last_status_write = None
    assert world.reconcile() == 0


def test_a_claim_made_anew_is_prepared_again() -> None:
    world = World().training()
    world.wait(60)
    world.checkpoint(50)
    world.settle()
    world.lose(CLAIM)
    world.settle()
    assert "checkpoint" not in world.status
    world.bind()
    world.settle()
    assert world.children[PREPARE]["status"] == {}
    assert JOB not in world.children
    world.wait(5)
    world.finish_job(PREPARE, "Complete")
    world.settle()
    assert world.children[JOB]["metadata"]["annotations"]["llmfinetune.dev/attempt"] == "2"


def test_a_deadline_ends_what_runs() -> None:
    world = World(runPolicy={"activeDeadline": "1h"}).training()
    world.live_for(3599)
    assert world.phase == "Training"
    world.live_for(1)
    assert world.phase == "Failed"
    assert world.status["failure"]["category"] == "Deadline"
    assert JOB not in world.children


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_terminal_states_stay(phase: str) -> None:
    world = World().training()
    if phase == "Succeeded":
        world.told(result=world.result())
    else:
        world.end("medical-worker-0", 2)
    world.finish_job(JOB, phase)
    world.settle()
    status = dict(world.status)
    world.edit(workers={"replicas": 1})
    world.lose(JOB)
    world.pods = {}
    world.wait(100_000)
    world.settle()
    assert world.status == status | {"observedGeneration": 2}
    assert JOB not in world.children


def test_a_fine_tune_being_deleted_is_left_to_the_garbage_collector() -> None:
    world = World().training()
    world.fine_tune["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    world.children.clear()
    assert world.reconcile() == 0
