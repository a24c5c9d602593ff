"""Moves images into the node's containerd."""

from collections.abc import Sequence
from pathlib import Path

from devcluster.command import run, run_unchecked
from devcluster.components import PAUSE
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.gobuild import GoBuilder
from devcluster.oci import write_archive

NAMESPACE = "k8s.io"


class NodeImages:
    """The images that the node has, seen through containerd's own command."""

    def __init__(self, settings: EmbeddedSettings) -> None:
        self._control: Sequence[str | Path] = (
            *("ctr", "--address", settings.containerd_socket, "--namespace", NAMESPACE),
        )

    def is_served(self) -> bool:
        """Say whether containerd answers."""
        return run_unchecked([*self._control, "version"]).returncode == 0

    def names(self) -> set[str]:
        """Return the names of all images."""
        return set(run([*self._control, "images", "list", "--quiet"]).split())

    def load(self, archive: Path) -> None:
        """Import an OCI archive and unpack it."""
        run([*self._control, "images", "import", archive])


def pause_archive(builder: GoBuilder, settings: EmbeddedSettings) -> Path:
    """Return the image whose container holds a pod's namespaces."""
    binary = builder.path(PAUSE)
    target = binary.with_name("image.tar")
    if not target.exists():
        write_archive(target, settings.pause_image, {"/pause": binary}, ["/pause"], "65535:65535")
    return target
