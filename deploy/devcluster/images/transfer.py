"""Moves images from the builder's storage to the embedded nodes: only the layers that a node lacks.

Builder and nodes keep layers in the same form, a folder for the kernel's overlay file system, and neither
ever changes one. So nothing is packed, compressed or copied: the node's layer is made of hard links to the
builder's files, which takes seconds for gigabytes and no room. Across file systems, files are copied.
"""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from devcluster.command import run, run_unchecked
from devcluster.embedded.cluster import EmbeddedCluster
from devcluster.embedded.images import NodeImages
from devcluster.embedded.settings import Node
from devcluster.errors import NotRunningError
from devcluster.images.store import StoredImage, full_name, image_names, read_image
from devcluster.layout import Layout
from devcluster.oci import MANIFEST, NAME_ANNOTATION, add, blob, blob_path, encode


@dataclass(frozen=True, slots=True)
class Transfer:
    """Moves images into one cluster."""

    layout: Layout
    cluster: EmbeddedCluster

    def load(self, name: str) -> None:
        """Make an image known to every node that runs, under its full name."""
        nodes = [each for each in self.cluster.settings.nodes if self.cluster.has_runtime(each)]
        if not nodes:
            raise NotRunningError("the embedded cluster does not run", hint="python3 -m devcluster up")
        image = read_image(self.layout.images / "storage", full_name(name))
        for node in nodes:
            load_layers(image, NodeImages(node))

    def load_all(self, node: Node) -> None:
        """Give a node every image that was built here and that the first node has."""
        storage = self.layout.images / "storage"
        wanted = NodeImages(self.cluster.settings.first_node).names() & image_names(storage)
        for name in sorted(wanted):
            load_layers(read_image(storage, name), NodeImages(node))


def load_layers(image: StoredImage, node: NodeImages) -> None:
    """Make an image known to a node, with the layers that the node lacks."""
    parent, added = "", []
    for layer in image.layers:
        if not node.has_snapshot(layer.chain):
            fill(node.prepare_snapshot(layer.chain, parent), layer.folder)
            node.commit_snapshot(layer.chain)
            added.append(layer.chain)
        parent = layer.chain
    node.load_bytes(description(image))
    node.release_snapshots(added)
    node.announce(image.name)
    node.forget_replaced()


def fill(target: Path, source: Path) -> None:
    """Give a new layer the content of the builder's."""
    content = ("--archive", "--no-target-directory", source, target)
    if run_unchecked(["cp", "--link", *content]).returncode != 0:
        run(["cp", "--reflink=auto", "--remove-destination", *content])


def description(image: StoredImage) -> bytes:
    """Return an archive of the image's manifest and configuration, without its layers."""
    manifest = {**blob(image.manifest, MANIFEST), "annotations": {NAME_ANNOTATION: image.name}}
    entries = {
        "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": encode({"schemaVersion": 2, "manifests": [manifest]}),
        **{blob_path(data): data for data in (image.manifest, image.config)},
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in entries.items():
            add(archive, path, data, mode=0o644)
    return buffer.getvalue()
