"""A simulated node for the API server of a benchmark: pods are put on it and run, as KWOK plays them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from devcluster.apiserver import ApiServer, free_ports
from devcluster.components import KUBE_SCHEDULER, KWOK
from devcluster.controlplane import ENVIRONMENT, scheduler_command
from devcluster.gobuild import GoBuilder
from devcluster.kubectl import Kubectl
from devcluster.kwok import simulated_node
from devcluster.layout import Layout
from devcluster.processes import start
from devcluster.progress import Progress

STAGES: Final = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-delete",
)
"""Pods run as soon as they have a node, and for ever: one that ended would have to leave a result."""
STORAGE_CLASS: Final[dict[str, Any]] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "bench", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
}
"""Binds a claim with its first pod, as most clusters' default class does."""


@contextmanager
def simulated(server: ApiServer, folder: Path, *, num_volumes: int) -> Iterator[dict[str, int]]:
    """Run kube-scheduler, KWOK and one node with that many volumes; yields process ids by name."""
    builder = GoBuilder(Layout.from_environment())
    builder.ensure((KUBE_SCHEDULER, KWOK), Progress(2))
    volumes = [volume(number) for number in range(num_volumes)]
    # No other node is here from which a taint would have to keep pods away.
    Kubectl(server.kubectl, server.kubeconfig).apply(
        [STORAGE_CLASS, *volumes, {**simulated_node(), "spec": {}}]
    )
    commands = {
        "kube-scheduler": scheduler_command(builder.path(KUBE_SCHEDULER), server.kubeconfig),
        "kwok": kwok_command(builder, server.kubeconfig, folder),
    }
    running = [
        start(name, command, log=folder / f"{name}.log", env=ENVIRONMENT, tied=True)
        for name, command in commands.items()
    ]
    try:
        yield {process.name: process.pid for process in running}
    finally:
        for process in running:
            process.kill()


def kwok_command(builder: GoBuilder, kubeconfig: Path, folder: Path) -> list[str | Path]:
    """Return KWOK's command, with the stages that it plays in a file."""
    source = builder.module_folder(KWOK) / "kustomize/stage"
    stages = folder / "stages.yaml"
    stages.write_text("\n---\n".join((source / f"{name}.yaml").read_text() for name in STAGES))
    return [
        builder.path(KWOK),
        *(f"--kubeconfig={kubeconfig}", f"--config={stages}", "--manage-all-nodes=true"),
        *(f"--server-address=127.0.0.1:{free_ports(1)[0]}", "--node-lease-duration-seconds=40"),
    ]


def volume(number: int) -> dict[str, Any]:
    """Return a volume that is bound to the first claim that it is large enough for."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"bench-{number}"},
        "spec": {
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": f"/bench/{number}"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS["metadata"]["name"],
        },
    }
