"""The long-running programs of the embedded cluster, in the order in which they start.

Each knows its command and when it is ready; starting and ending them is the same for all.
"""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devcluster import components, packages
from devcluster.apiclient import ApiClient
from devcluster.controlplane import (
    ENVIRONMENT,
    apiserver_command,
    controller_manager_command,
    etcd_command,
    scheduler_command,
)
from devcluster.embedded import node as commands
from devcluster.embedded.identities import Identities
from devcluster.embedded.images import NodeImages
from devcluster.embedded.settings import EmbeddedSettings, Node
from devcluster.gobuild import GoBuilder

PACKAGE_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One program of the cluster."""

    name: str
    command: Callable[[], list[str | Path]]
    """Writes the program's configuration if it has any."""
    is_ready: Callable[[], bool] = lambda: True
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Services:
    """Builds the list of programs for given settings."""

    settings: EmbeddedSettings
    builder: GoBuilder
    identities: Identities

    def all(self) -> list[Service]:
        """Return every program in the order of starting."""
        nodes = [self.on_node(node) for node in self.settings.nodes]
        return [*self.control_plane(), *self.for_all_nodes(), *(each for found in nodes for each in found)]

    def control_plane(self) -> list[Service]:
        """Return what serves the API and keeps objects in order."""
        plane, identities = self.settings.plane, self.identities
        return [
            Service(
                name="etcd",
                command=lambda: etcd_command(_program(packages.ETCD), plane),
                is_ready=lambda: accepts("127.0.0.1", plane.etcd_port),
                env=ENVIRONMENT,
            ),
            Service(
                name="kube-apiserver",
                command=lambda: apiserver_command(
                    self.builder.path(components.KUBE_APISERVER),
                    plane,
                    identities.apiserver(),
                    identities.admin(),
                ),
                is_ready=lambda: self.client().exists("/readyz"),
                env=ENVIRONMENT,
            ),
            Service(
                name="kube-controller-manager",
                command=lambda: controller_manager_command(
                    self.builder.path(components.KUBE_CONTROLLER_MANAGER),
                    plane,
                    self.settings.component_kubeconfig("kube-controller-manager"),
                ),
                env=ENVIRONMENT,
            ),
            Service(
                name="kube-scheduler",
                command=lambda: scheduler_command(
                    self.builder.path(components.KUBE_SCHEDULER),
                    self.settings.component_kubeconfig("kube-scheduler"),
                ),
                env=ENVIRONMENT,
            ),
        ]

    def for_all_nodes(self) -> list[Service]:
        """Return what nodes of one machine need once: names, service addresses, volumes."""
        settings = self.settings
        return [
            Service(
                name="coredns",
                command=lambda: commands.coredns_command(self.builder.path(components.COREDNS), settings),
                is_ready=lambda: accepts(settings.address, 53),
            ),
            Service(
                name="kube-proxy",
                command=lambda: commands.kube_proxy_command(
                    self.builder.path(components.KUBE_PROXY), settings
                ),
            ),
            Service(
                name="volume-provisioner",
                command=lambda: [sys.executable, "-m", "devcluster.embedded.provisioner", settings.state],
                env={"PYTHONPATH": str(PACKAGE_ROOT)},
            ),
        ]

    def on_node(self, node: Node) -> list[Service]:
        """Return what makes a node: its runtime, and then its kubelet."""
        return [self.container_runtime(node), self.kubelet(node)]

    def container_runtime(self, node: Node) -> Service:
        """Return what runs containers; it starts before any image is loaded."""
        return Service(
            name=node.program("containerd"),
            command=lambda: commands.containerd_command(
                _program(packages.CONTAINERD), self.settings, node, _program(packages.CNI_PLUGINS).parent
            ),
            is_ready=lambda: NodeImages(node).is_served(),
        )

    def kubelet(self, node: Node) -> Service:
        """Return what tells the API server of the node and runs its pods."""
        return Service(
            name=node.program("kubelet"),
            command=lambda: commands.kubelet_command(
                self.builder.path(components.KUBELET),
                self.settings,
                node,
                self.identities.kubelet_serving(node),
            ),
            is_ready=lambda: accepts(node.address, 10248),
            env={"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"},
        )

    def client(self) -> ApiClient:
        """Return an administrator's client."""
        plane = self.settings.plane
        return ApiClient(plane.url, plane.authority.certificate, self.identities.admin())


def accepts(host: str, port: int) -> bool:
    """Say whether someone listens there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _program(package: packages.Package) -> Path:
    return packages.ensure_packages([package])[package.name]
