"""Simulated nodes for load tests: KWOK keeps them ready and plays their pods' lives without containers."""

from typing import Any

from devcluster.components import KWOK
from devcluster.embedded.cluster import EmbeddedCluster
from devcluster.embedded.services import Service

NODE = "kwok-node"
FAKE = "kwok.x-k8s.io/node"
CAPACITY = {"cpu": "10000", "memory": "100Ti", "pods": "100000"}


def install_kwok(cluster: EmbeddedCluster) -> None:
    """Apply KWOK's definitions, start it, and add one node that only tolerating pods are put on."""
    module = cluster.builder.module_folder(KWOK)
    cluster.kubectl("apply", "--server-side", "-k", str(module / "kustomize/crd"))
    cluster.kubectl("wait", "--for=condition=Established", "crd/stages.kwok.x-k8s.io", "--timeout=60s")
    cluster.kubectl("apply", "--server-side", "-k", str(module / "kustomize/stage/fast"))
    cluster.kubectl.apply([simulated_node()])
    cluster.supervisor.run(kwok_service(cluster))


def kwok_service(cluster: EmbeddedCluster) -> Service:
    """Return KWOK as a program of the cluster; it touches annotated nodes only."""
    return Service(
        name="kwok",
        command=lambda: [
            cluster.builder.path(KWOK),
            f"--kubeconfig={cluster.settings.layout.kubeconfig}",
            "--manage-all-nodes=false",
            f"--manage-nodes-with-annotation-selector={FAKE}=fake",
            "--enable-crds=Stage",
            "--server-address=127.0.0.1:10247",
            f"--node-ip={cluster.settings.address}",
        ],
    )


def simulated_node() -> dict[str, Any]:
    """Return a node with room for any test, tainted so that real pods stay away."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "annotations": {FAKE: "fake"},
            "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "type": "kwok"},
        },
        "spec": {"taints": [{"key": FAKE, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": CAPACITY, "capacity": CAPACITY},
    }
