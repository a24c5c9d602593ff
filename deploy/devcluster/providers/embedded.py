"""The provider that needs nothing but this Linux machine and root."""

from dataclasses import dataclass
from pathlib import Path

from devcluster.components import CLUSTER, KWOK
from devcluster.disk import require_free
from devcluster.embedded.cluster import COLD_BUILD_GB, RUN_GB, EmbeddedCluster, require_root
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.gobuild import GoBuilder, check_go
from devcluster.images.build import NEEDED_GB, missing_image_gigabytes
from devcluster.images.transfer import Transfer
from devcluster.kubeconfig import NAME as CONTEXT
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

    def check(self) -> None:
        """Look for root, and for Go, with which programs are built and manifests fetched."""
        require_root()
        check_go()

    def check_room(self) -> None:
        """Look at the file system of the cache; images become part of the node without a copy."""
        require_free(self.layout.cache, cold_start_gigabytes(self.layout))

    def prepare(self, *, with_kwok: bool) -> None:
        """Build programs and install packages."""
        self.check()
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

    def context(self) -> str:
        """Return the only context of the administrator's kubeconfig."""
        return CONTEXT

    def kubectl(self) -> Kubectl:
        """Return the administrator's kubectl."""
        return self.cluster.kubectl

    def kubeconfig(self) -> Path | None:
        """Return the administrator's kubeconfig."""
        return self.layout.kubeconfig

    def processes(self) -> tuple[str, ...]:
        """Return what runs."""
        return tuple(process.name for process in self.cluster.registry.all_running())


def cold_start_gigabytes(layout: Layout) -> float:
    """Return the room that cluster and images still need, at the most that it takes at any time."""
    programs = COLD_BUILD_GB if GoBuilder(layout).missing(CLUSTER) else 0.0
    return RUN_GB + programs + missing_image_gigabytes(NEEDED_GB, layout)
