"""Moves images into a node's containerd."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devcluster.command import run, run_unchecked
from devcluster.components import PAUSE
from devcluster.embedded.settings import EmbeddedSettings, Node
from devcluster.gobuild import GoBuilder
from devcluster.oci import write_archive

NAMESPACE = "k8s.io"
SEEN = "io.cri-containerd.image"
HOLD = "containerd.io/gc.root"


class NodeImages:
    """The images that a node has, seen through containerd's own command."""

    def __init__(self, node: Node) -> None:
        self._control: Sequence[str | Path] = (
            *("ctr", "--address", node.containerd_socket, "--namespace", NAMESPACE),
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

    def load_missing(self, name: str, archive: Path) -> None:
        """Import an archive unless its image is there."""
        if name not in self.names():
            self.load(archive)

    def has_snapshot(self, chain: str) -> bool:
        """Say whether a layer (with all below it) has been unpacked."""
        return run_unchecked([*self._control, "snapshots", "info", chain]).returncode == 0

    def prepare_snapshot(self, chain: str, parent: str) -> Path:
        """Begin a layer on top of another and return the folder to fill."""
        key = f"moving {chain}"
        run_unchecked([*self._control, "snapshots", "rm", key])
        above = (parent,) if parent else ()
        mounts = json.loads(run([*self._control, "snapshots", "prepare", "--mounts", key, *above]))
        return upper_folder(mounts[0])

    def commit_snapshot(self, chain: str) -> None:
        """Finish a layer."""
        run([*self._control, "snapshots", "commit", chain, f"moving {chain}"])

    def release_snapshots(self, chains: Sequence[str]) -> None:
        """Leave layers to containerd's collection of what no image refers to."""
        for chain in chains:
            run([*self._control, "snapshots", "label", chain, f"{HOLD}="])

    def announce(self, name: str) -> None:
        """Let containerd's Kubernetes side see that a name now stands for another image.

        It looks at a new name, and at a known one only when that lacks the mark of having been looked at.
        """
        run([*self._control, "images", "label", name, f"{SEEN}="])

    def forget_replaced(self) -> None:
        """Remove images that no name stands for any more, so that containerd frees their layers."""
        rows = [line.split()[:3] for line in run([*self._control, "images", "list"]).splitlines()[1:]]
        gone = replaced({name: digest for name, _, digest in rows})
        if gone:
            run_unchecked([*self._control, "images", "rm", *gone])

    def load_bytes(self, archive: bytes) -> None:
        """Import an archive given as bytes and unpack its image."""
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            file.write(archive)
            file.flush()
            self.load(Path(file.name))


def replaced(images: Mapping[str, str]) -> list[str]:
    """Return the names by identity alone whose image has no proper name, from names and digests."""
    named = {digest for name, digest in images.items() if not name.startswith("sha256:")}
    return [name for name, digest in images.items() if name.startswith("sha256:") and digest not in named]


def upper_folder(mount: Mapping[str, Any]) -> Path:
    """Return the folder that a new layer's files go to, from how containerd would mount it."""
    options = dict(option.partition("=")[::2] for option in mount["Options"])
    return Path(options.get("upperdir") or mount["Source"])


def pause_archive(builder: GoBuilder, settings: EmbeddedSettings) -> Path:
    """Return the image whose container holds a pod's namespaces."""
    binary = builder.path(PAUSE)
    target = binary.with_name("image.tar")
    if not target.exists():
        write_archive(target, settings.pause_image, {"/pause": binary}, ["/pause"], "65535:65535")
    return target
