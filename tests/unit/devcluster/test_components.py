"""What is built, from which recipe, and when a cached program is stale."""

import dataclasses
from pathlib import Path

import pytest

from devcluster.components import ALL, KUBELET, SOURCES, by_name
from devcluster.errors import DevClusterError
from devcluster.gobuild import go_version


@pytest.mark.parametrize("name", ALL)
def test_every_component_is_pinned(name: str) -> None:
    component = ALL[name]
    module = (component.source / "go.mod").read_text()
    assert f"v{component.version}" in module or name == "pause"
    assert component.source.parent == SOURCES


def test_recipe_decides_the_place_in_the_cache() -> None:
    other = dataclasses.replace(KUBELET, tags=("other",))
    assert KUBELET.binary(Path("/c")) == KUBELET.binary(Path("/c"))
    assert KUBELET.binary(Path("/c")) != other.binary(Path("/c"))


def test_unknown_component_names_the_known_ones() -> None:
    with pytest.raises(DevClusterError) as caught:
        by_name("kube-apisrever")
    assert "kube-apiserver" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "want"),
    [("go1.26.8", (1, 26)), ("go1.27rc1", (1, 27)), ("go1.26-custom", (1, 26)), ("devel", (0, 0))],
)
def test_go_version(text: str, want: tuple[int, int]) -> None:
    assert go_version(text) == want
