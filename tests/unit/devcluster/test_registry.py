"""How images come to a cluster that this tool did not make."""

from pathlib import Path

import pytest

from demo import cluster
from devcluster.errors import DevClusterError
from devcluster.images.build import inputs_digest
from devcluster.images.registry import VARIABLE, Registry
from devcluster.layout import Layout
from devcluster.providers.choose import provider_of

OPERATOR = "llmfinetune/operator:dev"


def test_the_tag_follows_what_the_image_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "registry.example.com:5000/team/")
    registry = Registry.from_environment(Layout.from_environment())
    digest = inputs_digest("operator")
    assert registry.name_of(OPERATOR) == f"registry.example.com:5000/team/operator:{digest[:12]}"


@pytest.mark.parametrize("provider", ["embedded", "kind"])
def test_a_cluster_of_ours_knows_images_by_the_name_they_were_built_under(provider: str) -> None:
    assert provider_of(provider, Layout.from_environment()).image(OPERATOR) == OPERATOR


def test_a_registry_that_is_not_named_is_told_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LLMFINETUNE_PROVIDER", "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(DevClusterError, match=VARIABLE) as caught:
        cluster.find()
    assert f"{VARIABLE}=HOST/PATH" in caught.value.hint
    assert not (tmp_path / "cache").exists()
