"""Makes container images without a container engine: one layer of given files, as an OCI archive.

The archive is the same bytes for the same files, so that loading it twice changes nothing.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
NAME_ANNOTATION = "io.containerd.image.name"


def write_archive(
    target: Path, name: str, files: Mapping[str, Path], entrypoint: Sequence[str], user: str
) -> Path:
    """Write an image of executable files, named as containerd will know it."""
    uncompressed = layer_of(files)
    compressed = gzip.compress(uncompressed, compresslevel=1, mtime=0)
    layer = blob(compressed, LAYER)
    config_bytes = encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "User": user},
            "rootfs": {"type": "layers", "diff_ids": [digest(uncompressed)]},
        }
    )
    config = blob(config_bytes, CONFIG)
    manifest_bytes = encode({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
    manifest = {**blob(manifest_bytes, MANIFEST), "annotations": {NAME_ANNOTATION: name}}
    entries = {
        "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": encode({"schemaVersion": 2, "manifests": [manifest]}),
        **{blob_path(data): data for data in (manifest_bytes, config_bytes, compressed)},
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w") as archive:
        for path, data in entries.items():
            add(archive, path, data, mode=0o644)
    return target


def layer_of(files: Mapping[str, Path]) -> bytes:
    """Return a tar of executable files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, source in files.items():
            add(archive, path.lstrip("/"), source.read_bytes(), mode=0o755)
    return buffer.getvalue()


def add(archive: tarfile.TarFile, path: str, data: bytes, *, mode: int) -> None:
    """Add a file that bears no trace of when and by whom it was made."""
    info = tarfile.TarInfo(path)
    info.size = len(data)
    info.mode = mode
    archive.addfile(info, io.BytesIO(data))


def blob(data: bytes, media_type: str) -> dict[str, Any]:
    """Return the descriptor of some bytes."""
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def blob_path(data: bytes) -> str:
    """Return where a layout keeps some bytes."""
    return "blobs/" + digest(data).replace(":", "/")


def digest(data: bytes) -> str:
    """Return the digest by which images name bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def encode(document: object) -> bytes:
    """Return a document as canonical JSON."""
    return json.dumps(document, sort_keys=True).encode()
