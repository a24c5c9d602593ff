"""Who is who in the embedded cluster: certificates and kubeconfigs of the administrator and of components."""

from dataclasses import dataclass
from pathlib import Path

from devcluster.embedded.settings import EmbeddedSettings, Node
from devcluster.kubeconfig import write_kubeconfig
from devcluster.pki import KeyPair

COMPONENTS = {
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kube-scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
    "coredns": "/CN=system:coredns",
}


@dataclass(frozen=True, slots=True)
class Identities:
    """Issues what is missing; what is there stays, so that a restart keeps everyone's trust."""

    settings: EmbeddedSettings

    def ensure(self) -> None:
        """Make every certificate and kubeconfig."""
        plane = self.settings.plane
        plane.authority.ensure()
        plane.authority.service_account_key()
        self.apiserver()
        self._write("admin", self.admin(), self.settings.layout.kubeconfig)
        for name, subject in COMPONENTS.items():
            pair = plane.authority.issue(name, subject)
            self._write(name, pair)
        for node in self.settings.nodes:
            self.ensure_kubelet(node)

    def ensure_kubelet(self, node: Node) -> None:
        """Make what a kubelet shows the API server, and what it shows its clients."""
        self.kubelet_serving(node)
        name = node.program("kubelet")
        subject = f"/O=system:nodes/CN=system:node:{node.name}"
        self._write(name, self.settings.plane.authority.issue(name, subject))

    def admin(self) -> KeyPair:
        """Return the cluster administrator's pair."""
        return self.settings.plane.authority.issue("admin", "/O=system:masters/CN=admin")

    def apiserver(self) -> KeyPair:
        """Return what the API server shows its clients."""
        plane = self.settings.plane
        return plane.authority.issue("apiserver", "/CN=kube-apiserver", plane.certificate_names())

    def kubelet_serving(self, node: Node) -> KeyPair:
        """Return what a kubelet shows the API server (logs, exec)."""
        names = [f"IP:{node.address}", f"DNS:{node.name}"]
        return self.settings.plane.authority.issue(node.program("kubelet-serving"), "/CN=kubelet", names)

    def _write(self, name: str, client: KeyPair, path: Path | None = None) -> None:
        plane = self.settings.plane
        target = path or self.settings.component_kubeconfig(name)
        write_kubeconfig(target, server=plane.url, authority=plane.authority.certificate, client=client)
