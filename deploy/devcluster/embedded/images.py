"""Moves images into the node's containerd."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from devcluster.command import run, run_unchecked, tail
from devcluster.components import PAUSE
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.errors import DevClusterError
from devcluster.gobuild import GoBuilder
from devcluster.oci import write_archive

NAMESPACE = "k8s.io"
HOLD = "containerd.io/gc.root"


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

    def has_snapshot(self, chain: str) -> bool:
        """Say whether a layer (with all below it) has been unpacked."""
        return run_unchecked([*self._control, "snapshots", "info", chain]).returncode == 0

    def add_content(self, path: Path, digest: str, size: int) -> None:
        """Hand a layer's bytes over, and hold them until the image that refers to them is there."""
        expected = ("--expected-digest", digest, "--expected-size", str(size))
        with path.open("rb") as stream:
            command = [*self._control, "content", "ingest", *expected, digest]
            done = subprocess.run([str(part) for part in command], stdin=stream, capture_output=True, check=False)
        if done.returncode != 0:
            raise DevClusterError(f"containerd refused layer {digest}: {tail(done.stderr.decode(errors='replace'))}")
        run([*self._control, "content", "label", digest, f"{HOLD}=moving"])

    def drop_content(self, digests: Sequence[str]) -> None:
        """Remove packed layers, once unpacked."""
        if digests:
            run_unchecked([*self._control, "content", "rm", *digests])

    def load_bytes(self, archive: bytes) -> None:
        """Import an archive given as bytes and unpack its image."""
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            file.write(archive)
            file.flush()
            self.load(Path(file.name))


def pause_archive(builder: GoBuilder, settings: EmbeddedSettings) -> Path:
    """Return the image whose container holds a pod's namespaces."""
    binary = builder.path(PAUSE)
    target = binary.with_name("image.tar")
    if not target.exists():
        write_archive(target, settings.pause_image, {"/pause": binary}, ["/pause"], "65535:65535")
    return target
