"""A claim that was enlarged by hand: the API server refuses to shrink it, and nothing waits for that."""

import json
from collections.abc import Iterator

import pytest

from tests.api.client import Json, Kubectl
from tests.api.operator.process import OperatorProcess
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]


@pytest.fixture
def expandable(kubectl: Kubectl, world: World) -> Iterator[str]:
    """A storage class of expandable volumes, and one volume of it for the fine-tune's claim."""
    name = world.namespace
    storage_class: Json = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "example.com/none",
        "allowVolumeExpansion": True,
    }
    volume: Json = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "10Gi"},
            "claimRef": {"namespace": world.namespace, "name": "medical"},
            "hostPath": {"path": "/nowhere"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": name,
        },
    }
    for each in (storage_class, volume):
        kubectl("apply", "-f", "-", stdin=json.dumps(each))
    yield name
    for plural in ("persistentvolumes", "storageclasses"):
        kubectl("delete", plural, name, "--wait=false")


def claim(world: World) -> Json:
    return world.get("persistentvolumeclaims", "medical") or {}


def test_an_enlarged_claim_stays_so_and_the_rest_is_kept(
    operator: OperatorProcess, world: World, expandable: str
) -> None:
    world.create(storage={"storageClassName": expandable})
    world.until(lambda: claim(world).get("status", {}).get("phase") == "Bound")
    world.settled(quiet=1.0)
    enlarged = {"spec": {"resources": {"requests": {"storage": "20Gi"}}}}
    world.patch("persistentvolumeclaims", "medical", enlarged)
    world.delete("configmaps", "medical-run")
    world.until(lambda: world.get("configmaps", "medical-run"), timeout=30)
    world.settled()
    assert claim(world)["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert "failure" not in world.status()
