"""Moves an image from the builder's storage to the embedded node: only the layers that the node lacks.

No registry and no compression is involved. The builder writes layers into a layout folder, containerd takes those
that it has not unpacked yet, and afterwards neither keeps the packed bytes: a big image lies on disk once where it
was built and once where it runs. In the layout an empty file of the layer's size stays behind, by which the builder
knows that the layer has been moved.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.disk import require_free
from devcluster.embedded.cluster import EmbeddedCluster
from devcluster.embedded.images import NodeImages
from devcluster.errors import DevClusterError, NotRunningError
from devcluster.images.storage import Storage
from devcluster.layout import Layout
from devcluster.oci import NAME_ANNOTATION, add, encode

REFERENCE = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an image on its way."""

    digest: str
    size: int
    chain: str
    """Name of the snapshot that holds this layer and all below it."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Moves images into one cluster."""

    layout: Layout
    cluster: EmbeddedCluster

    @property
    def folder(self) -> Path:
        """The layout folder; it belongs to the cluster's state, because it mirrors what the node has."""
        return self.layout.state / "moved-images"

    def load(self, name: str) -> None:
        """Make an image known to the node under its full name."""
        if self.cluster.registry.find("containerd") is None:
            raise NotRunningError("the embedded cluster does not run", hint="python3 -m devcluster up")
        full = full_name(name)
        storage = Storage(self.layout)
        if not storage.has_image(full):
            raise DevClusterError(f"there is no image {full} here", hint="python3 -m devcluster build-images")
        manifest = self._export(storage, full)
        node = NodeImages(self.cluster.settings)
        layers = self._layers(manifest)
        missing = [layer for layer in layers if not node.has_snapshot(layer.chain)]
        require_free(self.layout.state, 2 * sum(layer.size for layer in missing) / 1e9 + 1)
        for layer in missing:
            self._move(layer, node)
        node.load_bytes(self._archive(full, manifest))
        node.drop_content([layer.digest for layer in missing])

    def _export(self, storage: Storage, name: str) -> dict[str, Any]:
        """Let the builder write what the layout lacks, and return the manifest's descriptor."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tag = hashlib.sha256(name.encode()).hexdigest()[:12]
        storage.buildah("push", "--quiet", "--disable-compression", name, f"oci:{self.folder}:{tag}")
        index = json.loads((self.folder / "index.json").read_text())
        return next(each for each in index["manifests"] if each["annotations"].get(REFERENCE) == tag)

    def _layers(self, manifest: Mapping[str, Any]) -> list[Layer]:
        document = self._read(manifest["digest"])
        diffs = self._read(document["config"]["digest"])["rootfs"]["diff_ids"]
        described = zip(document["layers"], chain_ids(diffs), strict=True)
        return [Layer(layer["digest"], layer["size"], chain) for layer, chain in described]

    def _move(self, layer: Layer, node: NodeImages) -> None:
        """Hand a layer to containerd and give its room in the layout back."""
        path = self._blob(layer.digest)
        if is_placeholder(path):
            raise DevClusterError(
                f"layer {layer.digest} is neither on the node nor in the layout",
                hint=f"remove {self.folder} and load the image again",
            )
        node.add_content(path, layer.digest, layer.size)
        os.truncate(path, 0)
        os.truncate(path, layer.size)

    def _archive(self, name: str, manifest: Mapping[str, Any]) -> bytes:
        """Return an archive of the image's description without its layers, which containerd has."""
        described = {**manifest, "annotations": {NAME_ANNOTATION: name}}
        config = self._read(manifest["digest"])["config"]["digest"]
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            add(archive, "oci-layout", encode({"imageLayoutVersion": "1.0.0"}), mode=0o644)
            add(archive, "index.json", encode({"schemaVersion": 2, "manifests": [described]}), mode=0o644)
            for digest in (manifest["digest"], config):
                add(archive, blob_name(digest), self._blob(digest).read_bytes(), mode=0o644)
        return buffer.getvalue()

    def _read(self, digest: str) -> dict[str, Any]:
        return dict(json.loads(self._blob(digest).read_text()))

    def _blob(self, digest: str) -> Path:
        return self.folder / blob_name(digest)


def full_name(name: str) -> str:
    """Return an image's name as Kubernetes completes it: registry, path and tag."""
    first, slash, _ = name.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    path = name if has_registry else f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    return path if ":" in path.rpartition("/")[2] else f"{path}:latest"


def chain_ids(diffs: Sequence[str]) -> Iterator[str]:
    """Return for each layer the name of the snapshot that results from it and those below it."""
    chain = ""
    for diff in diffs:
        chain = f"sha256:{hashlib.sha256(f'{chain} {diff}'.encode()).hexdigest()}" if chain else diff
        yield chain


def blob_name(digest: str) -> str:
    """Return where a layout keeps a blob."""
    return "blobs/" + digest.replace(":", "/")


def is_placeholder(path: Path) -> bool:
    """Say whether a file of some size occupies no disk: only its name and size are kept."""
    found = path.stat()
    return found.st_size > 0 and found.st_blocks == 0
