"""Which images the node may forget, and where a new layer's files go."""

from pathlib import Path

from devcluster.embedded.images import replaced, upper_folder


def test_an_image_without_a_name_is_forgotten() -> None:
    images = {"docker.io/a:dev": "sha256:m2", "sha256:old": "sha256:m1", "sha256:new": "sha256:m2"}
    assert replaced(images) == ["sha256:old"]


def test_an_image_pulled_by_digest_has_a_name() -> None:
    assert replaced({"docker.io/a@sha256:m1": "sha256:m1", "sha256:i": "sha256:m1"}) == []


def test_lowest_layer_is_a_folder_of_its_own() -> None:
    assert upper_folder({"Source": "/s/1/fs", "Options": ["rw", "rbind"]}) == Path("/s/1/fs")


def test_other_layers_lie_above_their_parents() -> None:
    options = ["index=off", "workdir=/s/2/work", "upperdir=/s/2/fs", "lowerdir=/s/1/fs"]
    assert upper_folder({"Source": "overlay", "Options": options}) == Path("/s/2/fs")
