"""Reads an image from the builder's storage on disk: its description and the folders of its layers.

The format is that of containers/storage with the overlay driver: a folder `diff` a layer, holding exactly
what the kernel's overlay file system expects of a lower folder.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.errors import DevClusterError


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an image."""

    folder: Path
    chain: str
    """Name of the snapshot that holds this layer and all below it."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image as the builder keeps it."""

    name: str
    manifest: bytes
    config: bytes
    layers: tuple[Layer, ...]
    """From the lowest to the topmost."""


def read_image(storage: Path, name: str) -> StoredImage:
    """Return the image of that name."""
    images = json.loads((storage / "overlay-images/images.json").read_text())
    record = next((image for image in images if name in image.get("names", ())), None)
    if record is None:
        raise DevClusterError(f"there is no image {name} here", hint="python3 -m devcluster build-images")
    folder = storage / "overlay-images" / record["id"]
    manifest = (folder / "manifest").read_bytes()
    config = (folder / item_name(json.loads(manifest)["config"]["digest"])).read_bytes()
    chains = chain_ids(json.loads(config)["rootfs"]["diff_ids"])
    folders = layer_folders(storage, record["layer"])
    layers = tuple(Layer(path, chain) for path, chain in zip(folders, chains, strict=True))
    return StoredImage(name, manifest, config, layers)


def image_names(storage: Path) -> set[str]:
    """Return the names of all images, none where nothing was built yet."""
    index = storage / "overlay-images/images.json"
    images = json.loads(index.read_text()) if index.exists() else []
    return {name for image in images for name in image.get("names", ())}


def item_name(key: str) -> str:
    """Return the file name under which the storage keeps an item whose key is no plain word."""
    return "=" + b64encode(key.encode()).decode()


def layer_folders(storage: Path, top: str) -> list[Path]:
    """Return the folders of a layer and its ancestors, the lowest first."""
    records: list[dict[str, Any]] = json.loads((storage / "overlay-layers/layers.json").read_text())
    parents = {record["id"]: record.get("parent", "") for record in records}
    found: list[Path] = []
    while top:
        found.append(storage / "overlay" / top / "diff")
        top = parents[top]
    return found[::-1]


def chain_ids(diffs: Sequence[str]) -> Iterator[str]:
    """Return for each layer the name of the snapshot that results from it and those below it."""
    chain = ""
    for diff in diffs:
        chain = f"sha256:{hashlib.sha256(f'{chain} {diff}'.encode()).hexdigest()}" if chain else diff
        yield chain


def full_name(name: str) -> str:
    """Return an image's name as Kubernetes completes it: registry, path and tag."""
    first, slash, _ = name.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    path = name if has_registry else f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    return path if ":" in path.rpartition("/")[2] else f"{path}:latest"
