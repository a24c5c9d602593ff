"""Starts the cluster's nodes, and ends one with its pods: in good order, or as a power failure would."""

import shutil
from dataclasses import dataclass

from devcluster.embedded import cleanup, network
from devcluster.embedded.identities import Identities
from devcluster.embedded.images import NodeImages, pause_archive
from devcluster.embedded.services import Services
from devcluster.embedded.settings import EmbeddedSettings, Node
from devcluster.embedded.supervisor import READY_SECONDS, Supervisor, log_hint
from devcluster.gobuild import GoBuilder
from devcluster.kubectl import Kubectl
from devcluster.waiting import wait_until

DRAIN_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Nodes:
    """What is done to one node at a time."""

    settings: EmbeddedSettings
    builder: GoBuilder
    supervisor: Supervisor
    services: Services
    kubectl: Kubectl

    def start(self, node: Node) -> None:
        """Start what does not run of a node, and return when pods can be scheduled on it."""
        network.add_address(self.settings, node)
        Identities(self.settings).ensure_kubelet(node)
        cleanup.make_groups(node)
        self.supervisor.run(self.services.container_runtime(node))
        NodeImages(node).load_missing(self.settings.pause_image, pause_archive(self.builder, self.settings))
        kubelet = self.services.kubelet(node)
        self.supervisor.run(kubelet)
        wait_until(
            f"node {node.name} is ready",
            lambda: self._is_ready(node),
            timeout=READY_SECONDS,
            hint=log_hint(kubelet.name),
        )

    def clear_leftovers(self, node: Node) -> None:
        """Remove pods of a run that ended abruptly; the kubelet starts them anew from the API's state."""
        if self.supervisor.is_running(node.program("containerd")):
            return
        self.supervisor.registry.stop(node.program("kubelet"))
        cleanup.end_pods(node)
        network.forget_pod_addresses(node)
        shutil.rmtree(node.folder / "containerd-run", ignore_errors=True)

    def lose(self, node: Node) -> None:
        """End a node and its pods without a goodbye: no signal, no closed connection, no last word."""
        network.cut_off(node)
        for service in reversed(self.services.on_node(node)):
            self.supervisor.registry.kill(service.name)
        cleanup.end_pods(node)

    def remove(self, node: Node) -> None:
        """Drain a node, end it and forget it."""
        if self.supervisor.is_running(node.program("kubelet")):
            flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--force")
            self.kubectl.attempt(
                "drain", node.name, *flags, f"--timeout={DRAIN_SECONDS}s", timeout=DRAIN_SECONDS + 10
            )
        for service in reversed(self.services.on_node(node)):
            self.supervisor.registry.stop(service.name)
        cleanup.end_pods(node)
        self._forget(node)

    def _forget(self, node: Node) -> None:
        on_node = ("--all-namespaces", f"--field-selector=spec.nodeName={node.name}")
        self.kubectl.attempt("delete", "node", node.name, "--ignore-not-found")
        self.kubectl.attempt("delete", "pods", *on_node, "--force", "--grace-period=0")
        network.forget_pod_addresses(node)
        network.remove_address(self.settings, node)
        cleanup.remove_groups(node.cgroup)
        shutil.rmtree(node.folder, ignore_errors=True)

    def _is_ready(self, node: Node) -> bool:
        query = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        return self.kubectl.attempt("get", "node", node.name, query).stdout == "True"
