"""What is built, from which recipe, and when a cached program is stale."""

import dataclasses
from pathlib import Path

import pytest

from devcluster.components import ALL, KUBELET, SOURCES, TRAINING_OPERATOR, by_name
from devcluster.errors import DevClusterError, MissingRequirementError
from devcluster.gobuild import GoBuilder
from devcluster.layout import Layout


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


def test_manifests_of_a_module_need_go_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    builder = GoBuilder(Layout(cache=tmp_path, state=tmp_path))
    with pytest.raises(MissingRequirementError, match="'go'") as caught:
        builder.module_folder(TRAINING_OPERATOR)
    assert "Go 1.26" in caught.value.hint
