"""Images made without a container engine."""

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from devcluster.oci import NAME_ANNOTATION, digest, write_archive


def contents(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        files = {member.name: opened.extractfile(member) for member in opened}
        return {name: stream.read() for name, stream in files.items() if stream is not None}


def referred(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    data = files["blobs/" + descriptor["digest"].replace(":", "/")]
    assert digest(data) == descriptor["digest"]
    assert len(data) == descriptor["size"]
    return data


def program(folder: Path) -> Path:
    path = folder / "program"
    path.write_bytes(b"binary")
    return path


def test_archive_holds_what_its_descriptions_say(tmp_path: Path) -> None:
    source = program(tmp_path)
    files = contents(write_archive(tmp_path / "image.tar", "a/b:1", {"/run": source}, ["/run"], "65532"))
    entry = json.loads(files["index.json"])["manifests"][0]
    assert entry["annotations"] == {NAME_ANNOTATION: "a/b:1"}
    manifest = json.loads(referred(files, entry))
    config = json.loads(referred(files, manifest["config"]))
    layer = gzip.decompress(referred(files, manifest["layers"][0]))
    assert config["config"] == {"Entrypoint": ["/run"], "User": "65532"}
    assert config["rootfs"]["diff_ids"] == [digest(layer)]
    with tarfile.open(fileobj=io.BytesIO(layer)) as opened:
        assert [(member.name, member.mode, member.mtime) for member in opened] == [("run", 0o755, 0)]


def test_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    source = program(tmp_path)
    first = write_archive(tmp_path / "1.tar", "a/b:1", {"/run": source}, ["/run"], "0")
    second = write_archive(tmp_path / "2.tar", "a/b:1", {"/run": source}, ["/run"], "0")
    assert first.read_bytes() == second.read_bytes()
