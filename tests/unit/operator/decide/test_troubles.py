"""What goes wrong is told with its fix, heals by itself where it can, and fails where waiting cannot help."""

from collections.abc import Callable
from typing import Any

import pytest

from llmfinetune_operator.observed import ChildRef
from llmfinetune_operator.policies.mounts import OUTDATED
from llmfinetune_operator.status.rate import CONDITIONS_SECONDS
from llmfinetune_operator.times import format_time
from tests.unit.operator.decide.world import CLAIM, JOB, PREPARE, World, waiting

POD = "medical-prepare-x"


def preparing(world: World, **status: Any) -> None:
    world.settle()
    world.bind()
    world.pod(POD, PREPARE, "Pending", **status)


def unschedulable(world: World, message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"conditions": [condition | {"lastTransitionTime": format_time(world.now)}]}


def event(world: World, about: dict[str, Any], reason: str, message: str) -> None:
    uid = about["metadata"]["uid"]
    time = format_time(world.now)
    world.events.append(
        {"involvedObject": {"uid": uid}, "reason": reason, "message": message, "lastTimestamp": time}
    )


def secret_missing(world: World) -> None:
    preparing(world)
    message = 'MountVolume.SetUp failed for volume "hf-token" : secret "hf-token" not found'
    event(world, world.pods[POD], "FailedMount", message)


def secret_key_missing(world: World) -> None:
    preparing(world)
    message = 'MountVolume.SetUp failed for volume "hf-token" : references non-existent secret key: token'
    event(world, world.pods[POD], "FailedMount", message)


def config_map_missing(world: World) -> None:
    preparing(world)
    message = 'MountVolume.SetUp failed for volume "source-config-map-0" : configmap "flashcards" not found'
    event(world, world.pods[POD], "FailedMount", message)


def volume_elsewhere(world: World) -> None:
    preparing(world)
    message = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other'
    event(world, world.pods[POD], "FailedAttachVolume", message)


def no_network(world: World) -> None:
    preparing(world, conditions=[{"type": "PodReadyToStartContainers", "status": "False"}])
    message = 'Failed to create pod sandbox: plugin type="calico" failed'
    event(world, world.pods[POD], "FailedCreatePodSandBox", message)


def network_not_ready(world: World) -> None:
    preparing(world)
    event(world, world.pods[POD], "NetworkNotReady", "network is not ready: cni plugin not initialized")


def block_volume(world: World) -> None:
    preparing(world)
    event(world, world.pods[POD], "FailedMapVolume", "MapVolume.SetUpDevice failed")


def image_pull(world: World) -> None:
    preparing(world, **waiting("ImagePullBackOff", 'Back-off pulling image "trainer:1"'))


def no_room(world: World) -> None:
    preparing(world, **unschedulable(world, "0/1 nodes are available: 1 Insufficient memory."))
    world.wait(world.settings.unschedulable_grace_seconds)


def no_volume(world: World) -> None:
    words = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    preparing(world, **unschedulable(world, words))
    world.children[CLAIM]["status"] = {"phase": "Pending"}
    world.wait(world.settings.unschedulable_grace_seconds)


def pods_refused(world: World) -> None:
    world.settle()
    message = 'pods "medical-prepare-" is forbidden: no PriorityClass with name batch was found'
    event(world, world.children[PREPARE], "FailedCreate", message)


def source_claim_missing(world: World) -> None:
    preparing(world, **unschedulable(world, 'persistentvolumeclaim "models" not found'))


def storage_class_missing(world: World) -> None:
    world.settle()
    message = 'storageclass.storage.k8s.io "fast" not found'
    event(world, world.children[CLAIM], "ProvisioningFailed", message)


HEALING: dict[str, tuple[Callable[[World], None], str, str]] = {
    "Secret missing": (secret_missing, "SecretMissing", "make it"),
    "key of the Secret missing": (secret_key_missing, "SecretKeyMissing", "model.tokenSecretRef.key"),
    "ConfigMap missing": (config_map_missing, "ConfigMapMissing", "source"),
    "volume attached elsewhere": (volume_elsewhere, "MountFailed", "claim"),
    "volume cannot be mapped": (block_volume, "MountFailed", "claim"),
    "network of the pod cannot be set up": (no_network, "SandboxFailed", "network plugin"),
    "network of the node is not ready": (network_not_ready, "SandboxFailed", "network plugin"),
    "image cannot be pulled": (image_pull, "ImagePullFailed", "runtime.image"),
    "no node has room": (no_room, "Unschedulable", "workers.resources.requests"),
    "nobody makes the volume": (no_volume, "VolumePending", "kubectl get storageclass"),
    "pods are refused": (pods_refused, "PodsRefused", "runPolicy.priorityClassName"),
    "claim of a source missing": (source_claim_missing, "ClaimMissing", "source"),
    "storage class missing": (storage_class_missing, "StorageClassMissing", "storage.storageClassName"),
}


@pytest.mark.parametrize(("arrange", "reason", "hint"), HEALING.values(), ids=HEALING.keys())
def test_trouble_is_a_condition_with_its_fix_and_heals(
    arrange: Callable[[World], None], reason: str, hint: str
) -> None:
    world = World()
    arrange(world)
    world.settle()
    assert world.phase == "Pending"
    assert world.condition("Ready") == ("False", reason)
    assert world.condition("Stalled")[0] == "False"
    assert world.status["failure"]["retryable"]
    assert hint in world.status["failure"]["hint"]
    assert reason in world.posted
    world.bind()
    world.pod(POD, PREPARE)
    world.settle()
    assert world.phase == "Preparing"
    assert "failure" not in world.status


REFERENCES = {
    "the default key": (
        {"name": "hf-token"},
        "kubectl create secret generic hf-token --from-file=token=<file>",
    ),
    "a key of the user's": ({"name": "hf-token", "key": "pass.txt"}, "--from-file=pass.txt=<file>"),
    "another Secret": ({"name": "other"}, "make it, or correct what names it"),
}


@pytest.mark.parametrize(("reference", "hint"), REFERENCES.values(), ids=REFERENCES.keys())
def test_a_missing_secret_is_to_be_made_with_the_key_that_is_read(
    reference: dict[str, str], hint: str
) -> None:
    world = World(model={"source": "hf://a/b", "tokenSecretRef": reference})
    secret_missing(world)
    world.settle()
    assert hint in world.status["failure"]["hint"]


def pulling(world: World) -> None:
    """The image is large: nothing is wrong."""
    world.pods[POD]["status"] |= waiting("ContainerCreating")


def test_a_mount_that_failed_once_is_no_trouble_for_ever() -> None:
    world = World()
    volume_elsewhere(world)
    pulling(world)
    world.settle()
    assert world.status["failure"]["reason"] == "MountFailed"
    world.live_for(OUTDATED.total_seconds() + 1)
    world.settle()
    assert "failure" not in world.status


def test_a_mount_that_fails_again_and_again_stays_told() -> None:
    world = World()
    volume_elsewhere(world)
    for _ in range(5):
        world.wait(OUTDATED.total_seconds() - 1)
        world.events[0]["series"] = {"lastObservedTime": format_time(world.now)}
        world.settle()
        assert world.status["failure"]["reason"] == "MountFailed"


def test_a_mount_that_failed_is_over_once_the_pod_is_ready_to_start() -> None:
    world = World()
    volume_elsewhere(world)
    world.pods[POD]["status"]["conditions"] = [{"type": "PodReadyToStartContainers", "status": "True"}]
    world.settle()
    assert "failure" not in world.status


def test_what_kept_a_sandbox_from_being_set_up_is_over_once_it_is_there() -> None:
    world = World()
    no_network(world)
    world.pods[POD]["status"]["conditions"] = [{"type": "PodReadyToStartContainers", "status": "True"}]
    world.settle()
    assert "failure" not in world.status


def test_a_missing_storage_class_is_told_by_the_storage_condition() -> None:
    world = World()
    storage_class_missing(world)
    world.settle()
    assert world.condition("StorageReady") == ("False", "StorageClassMissing")


def test_an_image_that_stays_away_fails_after_its_grace() -> None:
    world = World()
    image_pull(world)
    world.settle()
    wake_at = world.decide().wake_at
    assert wake_at is not None
    assert (wake_at - world.now).total_seconds() == world.settings.image_pull_grace_seconds
    world.wait(world.settings.image_pull_grace_seconds)
    world.settle()
    assert world.phase == "Failed"
    failure = world.status["failure"]
    assert (failure["category"], failure["retryable"]) == ("Image", False)
    assert failure["message"].startswith("gave up after 600 s: ")
    assert PREPARE not in world.children


def test_a_corrected_image_replaces_the_prepare_job() -> None:
    world = World()
    image_pull(world)
    world.settle()
    world.edit(runtime={"image": "trainer:fixed"})
    world.settle()
    container = world.children[PREPARE]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "trainer:fixed"
    assert world.pods == {}


def test_an_invalid_image_name_fails_at_once() -> None:
    world = World()
    preparing(world, **waiting("InvalidImageName"))
    world.settle()
    assert world.phase == "Failed"
    assert world.condition("Stalled") == ("True", "InvalidImageName")


def test_a_pod_that_waits_for_a_node_is_looked_at_again_and_not_told_of_before() -> None:
    world = World()
    preparing(world, **unschedulable(world, "0/1 nodes are available"))
    world.settle()
    assert "failure" not in world.status
    world.wait(CONDITIONS_SECONDS)
    world.settle()
    wake_at = world.decide().wake_at
    assert wake_at is not None
    waits = (wake_at - world.now).total_seconds() + CONDITIONS_SECONDS
    assert waits == world.settings.unschedulable_grace_seconds


def test_a_missing_training_operator_is_waited_for() -> None:
    world = World()
    world.training_api_available = False
    world.prepared()
    assert world.condition("Training") == ("False", "TrainingOperatorMissing")
    assert world.phase == "Pending"
    assert JOB not in world.children
    assert world.decide().wake_at is not None
    world.training_api_available = True
    world.settle()
    assert JOB in world.children
    assert "failure" not in world.status


def test_a_refused_child_is_told_and_tried_again() -> None:
    world = World()
    world.apply_errors = {JOB: "failed calling webhook: no route to host"}
    world.prepared()
    assert world.condition("Training") == ("False", "ApplyRefused")
    assert "no route to host" in world.status["failure"]["message"]
    decision = world.decide()
    assert decision.wake_at is not None
    assert [obj["kind"] for obj in decision.apply][-1] == "PyTorchJob"
    world.apply_errors = {}
    world.settle()
    assert JOB in world.children
    assert "failure" not in world.status


def test_a_missing_existing_claim_holds_everything_back_until_it_is_there() -> None:
    world = World(storage={"existingClaim": "shared"})
    world.settle()
    assert world.condition("StorageReady") == ("False", "ClaimMissing")
    assert PREPARE not in world.children
    ref = CLAIM._replace(name="shared")
    spec = {"accessModes": ["ReadWriteMany"]}
    world.children[ref] = {
        "metadata": {"name": "shared", "uid": "x"},
        "spec": spec,
        "status": {"phase": "Bound"},
    }
    world.settle()
    assert world.condition("StorageReady")[0] == "True"
    assert PREPARE in world.children


DONE = {"conditions": [{"type": "Complete", "status": "True"}], "completionTime": "2026-11-21T12:00:00Z"}
FAILED = {"conditions": [{"type": "Failed", "status": "True", "message": "of its own"}]}
OTHER = {"uid": "other", "controller": True}


@pytest.mark.parametrize(
    ("ref", "metadata", "status"),
    [
        pytest.param(CLAIM, {}, {}, id="a claim without a volume"),
        pytest.param(CLAIM, {}, {"phase": "Bound"}, id="a claim with a volume"),
        pytest.param(PREPARE, {}, {}, id="a Job at work"),
        pytest.param(PREPARE, {}, DONE, id="a Job that succeeded"),
        pytest.param(PREPARE, {}, FAILED, id="a Job that failed"),
        pytest.param(JOB, {}, {}, id="a training job at work"),
        pytest.param(JOB, {}, FAILED, id="a training job that failed"),
        pytest.param(
            PREPARE,
            {"labels": {"llmfinetune.dev/name": "medical"}, "ownerReferences": [OTHER]},
            DONE,
            id="a Job with the label and another controller",
        ),
    ],
)
def test_objects_of_somebody_else_are_left_alone(
    ref: ChildRef, metadata: dict[str, Any], status: dict[str, Any]
) -> None:
    world = World()
    foreign = {"metadata": {"name": ref.name, "uid": "x", **metadata}, "spec": {}, "status": status}
    world.children[ref] = foreign
    world.settle()
    assert world.children == {ref: foreign}
    assert world.condition("Ready") == ("False", "NameTaken")
    assert (world.phase, world.condition("Prepared")[0]) == ("Pending", "False")
    assert world.decide().wake_at is not None, "no watch tells when the object is gone"
    del world.children[ref]
    world.settle()
    assert PREPARE in world.children


def test_nobody_is_told_to_remove_a_claim_that_may_hold_work() -> None:
    world = World()
    world.children[CLAIM] = {"metadata": {"name": "medical", "uid": "x"}, "spec": {}, "status": {}}
    world.settle()
    hint = world.status["failure"]["hint"]
    assert "storage.existingClaim" in hint
    assert not {"remove", "delete"} & set(hint.split())


MARKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "without the label": lambda claim: claim["labels"].pop("llmfinetune.dev/name"),
    "with another's label": lambda claim: claim["labels"].update({"llmfinetune.dev/name": "legal"}),
    "without any label": lambda claim: claim.update(
        labels={}, managedFields=[{"manager": "llmfinetune-operator", "operation": "Apply"}]
    ),
}


@pytest.mark.parametrize("edit", MARKS.values(), ids=MARKS.keys())
def test_a_claim_of_ours_keeps_its_work_whatever_becomes_of_its_labels(
    edit: Callable[[dict[str, Any]], object],
) -> None:
    world = World().training()
    world.checkpoint(50)
    world.settle()
    labels, prepare = dict(world.children[CLAIM]["metadata"]["labels"]), world.children[PREPARE]
    edit(world.children[CLAIM]["metadata"])
    world.settle()
    assert world.children[CLAIM]["metadata"]["labels"] == labels
    assert world.children[PREPARE] == prepare
    assert (world.status["checkpoint"]["step"], "failure" in world.status) == (50, False)


def test_a_claim_that_somebody_put_in_the_place_of_ours_is_left_alone_at_the_end_too() -> None:
    world = World().training()
    foreign = {"metadata": {"name": "medical", "uid": "x"}, "spec": {}, "status": {}}
    world.children[CLAIM] = foreign
    world.told(step=10, total_steps=10, result=world.result())
    world.finish_job(JOB, "Succeeded")
    world.settle()
    assert world.children[CLAIM] == foreign


def test_a_claim_that_an_earlier_fine_tune_retained_is_used_again() -> None:
    world = World()
    labels = {"llmfinetune.dev/name": "medical"}
    metadata = {"name": "medical", "uid": "x", "labels": labels, "creationTimestamp": "2026-11-20T12:00:00Z"}
    world.children[CLAIM] = {"metadata": metadata, "spec": {}, "status": {"phase": "Bound"}}
    world.settle()
    assert PREPARE in world.children


def test_a_spec_from_another_version_is_named_field_by_field() -> None:
    world = World(workers={"replicas": 2, "shards": 3})
    world.reconcile()
    assert world.condition("Stalled") == ("True", "InvalidSpec")
    assert "spec.workers.shards" in world.status["conditions"][0]["message"]
    assert world.reconcile() == 0
    world.edit(workers={"replicas": 2})
    world.settle()
    assert world.condition("Stalled")[0] == "False"


def test_a_lost_worker_counts_as_one_restart_and_no_failure() -> None:
    world = World().training()
    for name in ("medical-worker-0", "medical-worker-1"):
        del world.pods[name]
    world.settle()
    world.start_workers()
    world.settle()
    workers = world.status["workers"]
    assert (workers["restarts"], workers["failures"]) == (1, 0)
    assert world.posted[-1] == "WorkersRestarted"


def test_a_worker_that_keeps_crashing_ends_the_fine_tune_after_max_restarts() -> None:
    world = World(runPolicy={"maxRestarts": 1}).training()
    for _ in range(2):
        world.wait(60)
        world.end("medical-worker-0", 137, "Traceback: token=hf_abcdefghijkl", reason="OOMKilled")
        world.settle()
        if world.phase == "Failed":
            break
        world.pod("medical-worker-0", JOB)
        world.settle()
    assert world.phase == "Failed"
    failure = world.status["failure"]
    assert (failure["category"], failure["exitCode"]) == ("OutOfMemory", 137)
    assert "hf_" not in str(world.status)
    assert JOB not in world.children


def test_preempted_workers_never_use_up_max_restarts() -> None:
    world = World(runPolicy={"maxRestarts": 0}).training()
    for _ in range(3):
        world.wait(60)
        world.end("medical-worker-1", 143)
        world.settle()
        world.pod("medical-worker-1", JOB)
        world.settle()
    workers = world.status["workers"]
    assert (world.phase, workers["restarts"], workers["failures"]) == ("Training", 3, 0)
