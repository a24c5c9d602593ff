"""Things that fine-tunes stand on go away, and come back or do not."""

from pathlib import Path

import pytest

from tests.api.client import Json, Kubectl
from tests.api.faults.life import live
from tests.api.faults.noted import recovery
from tests.api.faults.proxy import FaultProxy
from tests.api.operator.conftest import NewWorld, StartOperator, install_training_api
from tests.api.operator.process import OperatorProcess, eventually
from tests.api.operator.test_children import first_children
from tests.api.operator.test_room import condition
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(300)]
SECRET = "hf-token"


@pytest.fixture
def operator(training_api: None, start_operator: StartOperator) -> OperatorProcess:
    return start_operator()


def test_a_namespace_deleted_while_the_operator_is_down_leaves_the_others_in_good_hands(
    operator: OperatorProcess, kubectl: Kubectl, world: World, new_world: NewWorld
) -> None:
    doomed = new_world()
    first_children(doomed)
    first_children(world)
    operator.kill()
    for name in ("persistentvolumeclaims", "pods"):  # no kubelet runs that would let them go
        for each in doomed.list(name):
            doomed.patch(name, each["metadata"]["name"], {"metadata": {"finalizers": None}})
    kubectl("delete", "namespace", doomed.namespace, "--wait=true", "--timeout=60s")
    world.delete("configmaps", "medical-run")
    with recovery("namespace deleted while the operator is down"):
        operator.start()
        world.until(lambda: world.get("configmaps", "medical-run"))
    assert operator.samples("llmfinetune_operator_reconcile_total").get("error", 0) == 0


def test_the_training_operator_may_come_later(
    kubectl: Kubectl, training_crd: Path, start_operator: StartOperator, world: World
) -> None:
    kubectl("delete", "--ignore-not-found", "--wait=true", "-f", str(training_crd))
    operator = start_operator()
    first_children(world)
    world.finish_prepare()
    world.until(lambda: condition(world, "Training").get("reason") == "TrainingOperatorMissing")
    assert condition(world, "Training")["status"] == "False"
    assert "install Kubeflow's training operator" in world.status()["failure"]["hint"]
    with recovery("PyTorchJob's definition absent at the start"):
        install_training_api(kubectl, training_crd)
        made = world.until(lambda: world.get("pytorchjobs", "medical"))
    world.patch("pytorchjobs", "medical", {"spec": {"runPolicy": {"cleanPodPolicy": "All"}}})
    restored = made["spec"]["runPolicy"]["cleanPodPolicy"]
    world.until(
        lambda: (world.get("pytorchjobs", "medical") or {})["spec"]["runPolicy"]["cleanPodPolicy"] == restored
    )
    assert operator.get("/healthz")[0] == 200


@pytest.mark.chaos
def test_the_training_operator_s_kind_may_go_and_come_back(
    operator: OperatorProcess, kubectl: Kubectl, training_crd: Path, world: World
) -> None:
    live(world)
    kubectl("delete", "--wait=true", "-f", str(training_crd))
    eventually(lambda: kubectl.run("get", "pytorchjobs").returncode != 0)
    install_training_api(kubectl, training_crd)
    with recovery("PyTorchJob's definition deleted and installed again"):
        world.until(lambda: world.get("pytorchjobs", "medical"), timeout=120)
    assert operator.get("/healthz")[0] == 200


def put_secret(world: World, value: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET},
        "stringData": {"token": value},
    }
    world.client.request("DELETE", world.path("secrets", SECRET))
    answer = world.client.request("POST", world.path("secrets"), body)
    assert answer.status == 201, answer.body


def said_of_a_mount(world: World, pod: Json) -> None:
    """Play the kubelet, which cannot find the Secret."""
    regarding = {"kind": "Pod", "namespace": world.namespace, "apiVersion": "v1"}
    metadata = pod["metadata"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "mount-"},
        "involvedObject": {**regarding, "name": metadata["name"], "uid": metadata["uid"]},
        "type": "Warning",
        "reason": "FailedMount",
        "message": f'MountVolume.SetUp failed for volume "hf-token" : secret "{SECRET}" not found',
        "firstTimestamp": metadata["creationTimestamp"],
        "lastTimestamp": metadata["creationTimestamp"],
    }
    answer = world.client.request("POST", world.path("events"), event)
    assert answer.status == 201, answer.body


def test_a_missing_secret_is_told_of_heals_when_it_comes_and_may_be_rotated(
    operator: OperatorProcess, proxy: FaultProxy, world: World
) -> None:
    world.create(model={"source": "hf://owner/model", "tokenSecretRef": {"name": SECRET, "key": "token"}})
    said_of_a_mount(world, world.pod_of_prepare())
    failure = world.until(lambda: world.status().get("failure"))
    assert SECRET in failure["message"]
    put_secret(world, "first")
    with recovery("Secret missing"):
        world.finish_prepare()
        world.until(lambda: world.get("pytorchjobs", "medical"))
        world.until(lambda: "failure" not in world.status())
    before, writes = world.settled(), len(proxy.writes())
    put_secret(world, "second")
    assert world.settled(quiet=4.0) == before
    assert len(proxy.writes()) == writes
    assert not [call for call in proxy.calls if "secrets" in call.path]
