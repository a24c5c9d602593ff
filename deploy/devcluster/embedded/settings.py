"""Names, addresses and folders of the embedded cluster, and of each of its nodes, in frozen values."""

from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from devcluster.controlplane import ControlPlane
from devcluster.layout import Layout

CGROUP = "llmfinetune"
MAX_NODES = 2
POD_CIDR = "10.217.0.0/16"
SHARE_PREFIX = 18
"""The pod network in quarters: the first is that of the nodes' own addresses, then one a node."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """What one node of this machine has for itself. Nodes share network, volumes and kernel."""

    number: int
    """From 1."""
    folder: Path
    """All that its programs write, but volumes and logs."""

    @property
    def name(self) -> str:
        """Name in the API."""
        return "llmfinetune-dev" if self.number == 1 else f"llmfinetune-dev-{self.number}"

    @property
    def address(self) -> str:
        """Its own address on the bridge. On it, every kubelet can have the usual ports."""
        return str(IPv4Network(POD_CIDR)[self.number])

    @property
    def pod_range(self) -> IPv4Network:
        """The part of the pod network that its pods' addresses come from."""
        return list(IPv4Network(POD_CIDR).subnets(new_prefix=SHARE_PREFIX))[self.number]

    @property
    def network(self) -> str:
        """Name by which the network plugins note its pods."""
        return "llmfinetune" if self.number == 1 else f"llmfinetune{self.number}"

    @property
    def cgroup(self) -> str:
        """Every process of its pods lies below this control group, which is how they are all found again."""
        return f"{CGROUP}/node-{self.number}"

    @property
    def containerd_socket(self) -> Path:
        """Socket of its containerd."""
        return self.folder / "containerd.sock"

    @property
    def is_added(self) -> bool:
        """Say whether it has been made on this machine."""
        return self.folder.is_dir()

    def program(self, name: str) -> str:
        """Return what one of its programs is called: `kubelet`, on the second node `kubelet-2`."""
        return name if self.number == 1 else f"{name}-{self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedSettings:
    """What every part of the embedded cluster must agree on."""

    layout: Layout
    bridge: str = "llmft0"
    address: str = "10.217.0.1"
    """The bridge's first address: API server, DNS, and the first node."""
    pod_cidr: str = POD_CIDR
    prefix_length: int = 16
    service_cidr: str = "10.218.0.0/16"
    service_address: str = "10.218.0.1"
    cgroup: str = CGROUP
    """Parent of all nodes' control groups."""
    pause_image: str = "docker.io/llmfinetune/pause:1"

    @property
    def state(self) -> Path:
        """Root of all that the running cluster writes."""
        return self.layout.state

    def node(self, number: int) -> Node:
        """Return a node, whether it has been added or not."""
        return Node(number=number, folder=self.state / f"node-{number}")

    @property
    def first_node(self) -> Node:
        """The node that every cluster has."""
        return self.node(1)

    @property
    def nodes(self) -> list[Node]:
        """The first node, and those that were added."""
        return [self.first_node, *(node for node in self.further_nodes if node.is_added)]

    @property
    def further_nodes(self) -> list[Node]:
        """Every node that can be added."""
        return [self.node(number) for number in range(2, MAX_NODES + 1)]

    @property
    def plane(self) -> ControlPlane:
        """The control plane, reachable from pods through the bridge."""
        return ControlPlane(
            folder=self.state,
            address=self.address,
            port=6443,
            etcd_port=23790,
            etcd_peer_port=23800,
            service_cidr=self.service_cidr,
            service_address=self.service_address,
            pod_cidr=self.pod_cidr,
        )

    @property
    def volumes(self) -> Path:
        """Where provisioned volumes keep their data."""
        return self.state / "volumes"

    def component_kubeconfig(self, name: str) -> Path:
        """Kubeconfig of a component."""
        return self.state / "kubeconfigs" / name
