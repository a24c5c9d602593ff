"""A volume that is really full: a small file system in memory behind a claim. Needs the machine itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from demo.objects import claim
from devcluster.command import run
from devcluster.layout import Layout
from tests.chaos.fault import Fault
from tests.chaos.victim import Victim
from tests.e2e.session import Session, phase

CLAIM = "chaos-small"
SIZE_MIB = 1024
"""Room for the model as prepared, and then some."""


@contextmanager
def small_volume(session: Session) -> Iterator[None]:
    """Makes a claim on a file system of its own; unmounts it in the end."""
    folder = Layout.from_environment().state / CLAIM
    folder.mkdir(parents=True, exist_ok=True)
    run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=0777", "tmpfs", folder])
    volume = _volume(str(folder), node=session.namespace.get("nodes")["items"][0]["metadata"]["name"])
    volume["spec"]["claimRef"]["namespace"] = session.namespace.name
    small = claim(CLAIM, f"{SIZE_MIB}Mi")
    small["spec"].update({"storageClassName": CLAIM, "volumeName": CLAIM})
    try:
        session.namespace.apply(volume, small)
        yield
    finally:
        session.namespace.run("delete", "pods,pytorchjobs,jobs", "--all", timeout=120)
        session.namespace.run("delete", "pvc", CLAIM, "--ignore-not-found", timeout=120)
        session.namespace.run("delete", "pv", CLAIM, "--ignore-not-found", timeout=120)
        run(["umount", folder])
        folder.rmdir()


def fill(victim: Victim) -> None:
    """Fills the volume, and returns when the fine-tune has failed of it and says what to do."""
    victim.observer.run("fill_volume")
    victim.wait_for("failure", lambda now: phase(now) == "Failed")
    failure = victim.get()["status"]["failure"]
    assert (failure["category"], bool(failure["hint"])) == ("DiskFull", True), failure


def make_room(victim: Victim) -> None:
    """Frees the volume and makes the fine-tune again; it finds its directory as it was."""
    victim.observer.remove("filler")
    victim.namespace.run("delete", "llmfinetune", victim.name, timeout=200)
    victim.namespace.apply(victim.manifest)


def _volume(path: str, *, node: str) -> dict[str, Any]:
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": CLAIM},
        "spec": {
            "capacity": {"storage": f"{SIZE_MIB}Mi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": CLAIM,
            "claimRef": {"name": CLAIM},
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
        },
    }


VOLUME_FULL = Fault(name="volume full", inject=fill, heal=make_room, embedded_only=True)
