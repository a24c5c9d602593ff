"""Names, addresses and folders of the embedded cluster, in one frozen value."""

from dataclasses import dataclass
from pathlib import Path

from devcluster.controlplane import ControlPlane
from devcluster.layout import Layout


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedSettings:
    """What every part of the embedded cluster must agree on."""

    layout: Layout
    node_name: str = "llmfinetune-dev"
    bridge: str = "llmft0"
    node_address: str = "10.217.0.1"
    """The bridge's own address: node address, API server, DNS."""
    pod_cidr: str = "10.217.0.0/16"
    prefix_length: int = 16
    service_cidr: str = "10.218.0.0/16"
    service_address: str = "10.218.0.1"
    cgroup: str = "llmfinetune"
    """Every pod's process lies below this control group, which is how they are all found again."""
    pause_image: str = "docker.io/llmfinetune/pause:1"

    @property
    def state(self) -> Path:
        """Root of all that the running cluster writes."""
        return self.layout.state

    @property
    def plane(self) -> ControlPlane:
        """The control plane, reachable from pods through the bridge."""
        return ControlPlane(
            folder=self.state,
            address=self.node_address,
            port=6443,
            etcd_port=23790,
            etcd_peer_port=23800,
            service_cidr=self.service_cidr,
            service_address=self.service_address,
            pod_cidr=self.pod_cidr,
        )

    @property
    def containerd_socket(self) -> Path:
        """Socket of our own containerd."""
        return self.state / "containerd.sock"

    @property
    def volumes(self) -> Path:
        """Where provisioned volumes keep their data."""
        return self.state / "volumes"

    def component_kubeconfig(self, name: str) -> Path:
        """Kubeconfig of a component."""
        return self.state / "kubeconfigs" / name
