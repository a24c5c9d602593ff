"""Gives claims of the default storage class a folder on this machine, as a `local` volume.

Unlike a host path, which is what Kubernetes' own provisioner offers, a `local` volume honours `fsGroup`, so
that pods without root can write to it exactly as they can to a disk of a cloud. A ReadWriteMany claim's is
there on every node, as they share this machine's disk; any other stays on the first node. Runs as a process
of its own: `python3 -m devcluster.embedded.provisioner STATE`.
"""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devcluster.apiclient import ApiClient
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.layout import Layout
from devcluster.pki import KeyPair

NAME = "llmfinetune.dev/local"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
POLL_SECONDS = 0.5
VOLUMES = "/api/v1/persistentvolumes"

Object = dict[str, Any]


def storage_class() -> Object:
    """Return the cluster's default storage class."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "local", "annotations": {DEFAULT_CLASS: "true"}},
        "provisioner": NAME,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


def volume_for(claim: Object, path: Path, nodes: Sequence[str]) -> Object:
    """Return the volume that answers a claim, bound to it beforehand. `nodes` are all of this machine."""
    metadata, spec = claim["metadata"], claim["spec"]
    values = list(nodes if "ReadWriteMany" in spec["accessModes"] else nodes[:1])
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": values}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": path.name, "annotations": {PROVISIONED_BY: NAME}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec["storageClassName"],
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
        },
    }


def wants_volume(claim: Object, classes: set[str]) -> bool:
    """Say whether a claim waits for a volume of one of our classes."""
    spec = claim["spec"]
    is_pending = bool(claim.get("status", {}).get("phase") == "Pending")
    is_unbound = not (spec.get("volumeName") or claim["metadata"].get("deletionTimestamp"))
    return is_pending and is_unbound and str(spec.get("storageClassName")) in classes


def is_left_over(volume: Object) -> bool:
    """Say whether a volume of ours has lost its claim and is to be deleted."""
    provisioned_by = volume["metadata"].get("annotations", {}).get(PROVISIONED_BY)
    phase, policy = volume.get("status", {}).get("phase"), volume["spec"].get("persistentVolumeReclaimPolicy")
    return (provisioned_by, phase, policy) == (NAME, "Released", "Delete")


class Provisioner:
    """Looks at claims and volumes again and again, and moves them one step."""

    def __init__(self, client: ApiClient, folder: Path, nodes: Sequence[str]) -> None:
        self._client = client
        self._folder = folder
        self._nodes = nodes

    def step(self) -> None:
        """Make what is missing and delete what is left over."""
        classes = {
            each["metadata"]["name"]
            for each in self._items("/apis/storage.k8s.io/v1/storageclasses")
            if each["provisioner"] == NAME
        }
        for claim in self._items("/api/v1/persistentvolumeclaims"):
            if wants_volume(claim, classes):
                self._provision(claim)
        for volume in self._items(VOLUMES):
            if is_left_over(volume):
                self._delete(volume)

    def _items(self, path: str) -> list[Object]:
        found = self._client.get_object(f"{path}?resourceVersion=0")
        return list(found["items"]) if found else []

    def _provision(self, claim: Object) -> None:
        path = self._folder / f"pvc-{claim['metadata']['uid']}"
        path.mkdir(parents=True, exist_ok=True)
        self._client.request("POST", VOLUMES, volume_for(claim, path, self._nodes))

    def _delete(self, volume: Object) -> None:
        path = Path(volume["spec"]["local"]["path"])
        if path.parent == self._folder:
            shutil.rmtree(path, ignore_errors=True)
        self._client.request("DELETE", f"{VOLUMES}/{volume['metadata']['name']}")


def main(state: str) -> None:
    """Serve until ended."""
    settings = EmbeddedSettings(layout=Layout(cache=Path(), state=Path(state)))
    pki = settings.plane.authority.folder
    admin = KeyPair(pki / "admin.crt", pki / "admin.key")
    client = ApiClient(settings.plane.url, settings.plane.authority.certificate, admin, keep_alive=True)
    # A volume's nodes cannot be changed later, so that it names those that may still be added too.
    nodes = [node.name for node in (settings.first_node, *settings.further_nodes)]
    provisioner = Provisioner(client, settings.volumes, nodes)
    while True:
        provisioner.step()
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
