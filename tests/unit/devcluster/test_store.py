"""Reading the builder's storage and naming images as Kubernetes names them."""

import json
import re
from pathlib import Path

import pytest

from devcluster.errors import DevClusterError
from devcluster.images.store import chain_ids, full_name, image_names, item_name, read_image
from devcluster.oci import digest, encode

NAMES = {
    "llmfinetune/operator:dev": "docker.io/llmfinetune/operator:dev",
    "llmfinetune/operator": "docker.io/llmfinetune/operator:latest",
    "busybox": "docker.io/library/busybox:latest",
    "docker.io/llmfinetune/trainer:dev": "docker.io/llmfinetune/trainer:dev",
    "localhost/a:1": "localhost/a:1",
    "localhost:5000/a": "localhost:5000/a:latest",
    "example.org/a/b:1": "example.org/a/b:1",
}


@pytest.mark.parametrize(("name", "want"), NAMES.items(), ids=NAMES.keys())
def test_full_name(name: str, want: str) -> None:
    assert full_name(name) == want


def test_chain_of_one_layer_is_the_layer_itself() -> None:
    assert list(chain_ids(["sha256:aa"])) == ["sha256:aa"]


def test_chain_depends_on_everything_below() -> None:
    first = list(chain_ids(["sha256:aa", "sha256:bb", "sha256:cc"]))
    other = list(chain_ids(["sha256:ab", "sha256:bb", "sha256:cc"]))
    assert first[1] == digest(b"sha256:aa sha256:bb")
    assert set(first).isdisjoint(other)


def storage(folder: Path) -> Path:
    """A storage with one image of two layers."""
    config = encode({"rootfs": {"diff_ids": ["sha256:aa", "sha256:bb"]}})
    manifest = encode({"config": {"digest": digest(config)}})
    image = folder / "overlay-images" / "i1"
    image.mkdir(parents=True)
    (image / "manifest").write_bytes(manifest)
    (image / item_name(digest(config))).write_bytes(config)
    record = {"id": "i1", "names": ["docker.io/a/b:dev"], "layer": "top"}
    (folder / "overlay-images/images.json").write_text(json.dumps([{"id": "i0"}, record]))
    (folder / "overlay-layers").mkdir()
    layers = [{"id": "bottom"}, {"id": "top", "parent": "bottom"}, {"id": "other"}]
    (folder / "overlay-layers/layers.json").write_text(json.dumps(layers))
    return folder


def test_layers_come_from_the_lowest_to_the_topmost(tmp_path: Path) -> None:
    image = read_image(storage(tmp_path), "docker.io/a/b:dev")
    assert [layer.folder.parent.name for layer in image.layers] == ["bottom", "top"]
    assert [layer.chain for layer in image.layers] == ["sha256:aa", digest(b"sha256:aa sha256:bb")]


def test_images_without_a_name_are_left_out(tmp_path: Path) -> None:
    assert image_names(storage(tmp_path)) == {"docker.io/a/b:dev"}


def test_before_the_first_build_there_are_no_images(tmp_path: Path) -> None:
    assert image_names(tmp_path) == set()


def test_absent_image_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(DevClusterError, match=re.escape("docker.io/a/c:dev")) as caught:
        read_image(storage(tmp_path), "docker.io/a/c:dev")
    assert "build-images" in caught.value.hint
