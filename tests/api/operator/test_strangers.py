"""What a user made before, under a name that a child would have, stays the user's."""

import pytest

from tests.api.client import Json
from tests.api.operator.conftest import StartOperator
from tests.api.operator.process import OperatorProcess
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]
POD = {"spec": {"restartPolicy": "Never", "containers": [{"name": "pytorch", "image": "mine"}]}}
CLAIM: Json = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
STRANGERS = [
    pytest.param("persistentvolumeclaims", "PersistentVolumeClaim", "medical", CLAIM, id="a claim"),
    pytest.param("configmaps", "ConfigMap", "medical-run", {"data": {"a": "1"}}, id="a configuration"),
    pytest.param("serviceaccounts", "ServiceAccount", "medical-trainer", {}, id="a service account"),
    pytest.param("jobs", "Job", "medical-prepare", {"spec": {"suspend": True, "template": POD}}, id="a job"),
]


def make(world: World, plural: str, kind: str, name: str, rest: Json) -> Json:
    api_version = world.path(plural).split("/namespaces")[0].removeprefix("/apis/").removeprefix("/api/")
    body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}
    answer = world.client.request("POST", world.path(plural), body)
    assert answer.status == 201, answer.body
    return answer.body


def identity(obj: Json | None) -> Json | None:
    """Return everything that a user says about an object; its resourceVersion moves with the controllers."""
    metadata = (obj or {}).get("metadata", {})
    said = {key: metadata.get(key) for key in ("uid", "labels", "annotations", "ownerReferences")}
    return obj and {"metadata": said, "data": obj.get("data"), "spec": obj.get("spec")}


@pytest.mark.parametrize(("plural", "kind", "name", "rest"), STRANGERS)
def test_an_object_of_the_user_s_is_never_written_and_never_deleted(
    operator: OperatorProcess, world: World, plural: str, kind: str, name: str, rest: Json
) -> None:
    before = identity(make(world, plural, kind, name, rest))
    world.create(storage={"retain": False})
    failure = world.until(lambda: world.status().get("failure"))
    assert failure["reason"] == "NameTaken"
    assert kind in failure["message"]
    assert name in failure["message"]
    world.settled(quiet=2.0)
    assert identity(world.get(plural, name)) == before
    world.delete("llmfinetunes", "medical")
    world.until(lambda: not world.children())
    assert identity(world.get(plural, name)) == before


def test_a_training_job_of_the_user_s_is_never_written_and_never_deleted(
    operator: OperatorProcess, world: World
) -> None:
    replicas = {"Worker": {"replicas": 1, "template": POD}}
    before = identity(
        make(world, "pytorchjobs", "PyTorchJob", "medical", {"spec": {"pytorchReplicaSpecs": replicas}})
    )
    world.create(storage={"retain": False})
    world.until(lambda: world.get("jobs", "medical-prepare"))
    world.finish_prepare()
    failure = world.until(lambda: world.status().get("failure"))
    assert (failure["reason"], "PyTorchJob" in failure["message"]) == ("NameTaken", True)
    world.delete("llmfinetunes", "medical")
    world.until(lambda: not world.children())
    assert identity(world.get("pytorchjobs", "medical")) == before


def test_it_goes_on_once_the_object_is_gone(
    training_api: None, start_operator: StartOperator, world: World
) -> None:
    start_operator(env={"LLMFINETUNE_REFUSED_RETRY_SECONDS": "1"})
    make(world, "configmaps", "ConfigMap", "medical-run", {})
    world.create()
    world.until(lambda: world.status().get("failure"))
    world.delete("configmaps", "medical-run")
    world.until(lambda: world.get("jobs", "medical-prepare"))
    world.until(lambda: "failure" not in world.status())
