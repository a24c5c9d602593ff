"""The provider that needs nothing but this Linux machine and root."""

from dataclasses import dataclass
from pathlib import Path

from devcluster.components import KWOK
from devcluster.embedded.cluster import EmbeddedCluster
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.images.transfer import Transfer
from devcluster.kubectl import Kubectl
from devcluster.kwok import install_kwok
from devcluster.layout import Layout


@dataclass(frozen=True, slots=True)
class EmbeddedProvider:
    """Adapts the embedded cluster to the command."""

    layout: Layout
    name: str = "embedded"

    @property
    def cluster(self) -> EmbeddedCluster:
        """The cluster behind the provider."""
        return EmbeddedCluster(EmbeddedSettings(layout=self.layout))

    def prepare(self, *, with_kwok: bool) -> None:
        """Build programs and install packages."""
        self.cluster.prepare((KWOK,) if with_kwok else ())

    def up(self, *, with_kwok: bool) -> None:
        """Start what does not run."""
        self.cluster.up()
        if with_kwok:
            install_kwok(self.cluster)

    def down(self, *, keep_data: bool) -> None:
        """End everything and put the machine's settings back."""
        self.cluster.down(keep_data=keep_data)

    def is_running(self) -> bool:
        """Say whether the API server lives."""
        return self.cluster.is_running()

    def image(self, name: str) -> str:
        """Return the name itself: nodes have what was loaded."""
        return name

    def load_image(self, name: str) -> None:
        """Move the layers that nodes lack."""
        Transfer(self.layout, self.cluster).load(name)

    def add_node(self) -> str:
        """Add the second node with the images that the first has, or start it again; return its name."""
        node = self.cluster.add_node()
        Transfer(self.layout, self.cluster).load_all(node)
        return node.name

    def kubectl(self) -> Kubectl:
        """Return the administrator's kubectl."""
        return self.cluster.kubectl

    def kubeconfig(self) -> Path | None:
        """Return the administrator's kubeconfig."""
        return self.layout.kubeconfig

    def processes(self) -> tuple[str, ...]:
        """Return what runs."""
        return tuple(process.name for process in self.cluster.registry.all_running())
