"""A cluster of kind's: found, started again or made anew; what it needs, and the way of images into it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from devcluster.errors import DevClusterError, MissingRequirementError
from devcluster.layout import Layout
from devcluster.providers import kind
from devcluster.providers.kind import CLUSTER, CONTEXT, NODE, KindProvider
from tests.unit.devcluster.programs import calls, install

GIGABYTES = 10**9
KIND = f"""case "$1 $2" in
"version ") echo "kind v0.30.0 go1.24.6 linux/amd64";;
"get clusters") [ -e listed ] && echo {CLUSTER};;
"create cluster") touch listed answers;;
"delete cluster") rm -f listed answers;;
"load docker-image") echo "TMPDIR $TMPDIR" >> calls;;
esac
exit 0"""
DOCKER = """case "$1 $2" in
"start llmfinetune-dev-control-plane") [ -e revivable ] && touch answers; exit 0;;
"image inspect") cat size;;
esac"""
KUBECTL = f"""case "$*" in
"version --client") exit 0;;
*"version --output=json"*) cat version;;
*--context={CONTEXT}*readyz*) [ -e answers ];;
esac"""
GO = "echo go1.26.8"
SCRIPTS = {"kind": KIND, "docker": DOCKER, "kubectl": KUBECTL, "go": GO}


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KindProvider:
    install(tmp_path, monkeypatch, SCRIPTS)
    (tmp_path / "version").write_text('{"serverVersion": {"gitVersion": "v1.34.0"}}')
    monkeypatch.setattr(kind, "START_SECONDS", 0.0)
    monkeypatch.setattr(kind, "TrainingOperator", TrainingOperator)
    return KindProvider(Layout(cache=tmp_path / "cache", state=tmp_path / "state"))


class TrainingOperator:
    """One that is installed in no time."""

    def __init__(self, *_: object) -> None: ...

    def install(self, *, local_image: bool) -> None:
        assert not local_image


@dataclass(frozen=True)
class Case:
    there: tuple[str, ...]
    """What is so of the cluster before."""
    is_running: bool
    want: tuple[str, ...]
    """What is done to it."""


CASES = {
    "no cluster is created": Case((), False, ("create",)),
    "one that answers is left alone": Case(("listed", "answers"), True, ()),
    "one whose node was stopped is started": Case(("listed", "revivable"), False, ("start", "export")),
    "one that stays silent is made anew": Case(("listed",), False, ("start", "export", "delete", "create")),
    "another one's answer is not ours": Case(("answers",), False, ("create",)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_up_does_what_the_cluster_lacks(case: Case, provider: KindProvider, tmp_path: Path) -> None:
    for name in case.there:
        (tmp_path / name).touch()
    assert provider.is_running() == case.is_running
    provider.up(with_kwok=False)
    done = [call.split()[1] for call in calls(tmp_path) if call.startswith(("kind", f"docker start {NODE}"))]
    assert [verb for verb in done if verb != "get"] == list(case.want)
    assert provider.is_running()


def test_a_node_image_of_the_users_is_taken(
    provider: KindProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kind.IMAGE_VARIABLE, "mirror/kindest/node:v1.34.4")
    provider.up(with_kwok=False)
    [created] = [call for call in calls(tmp_path) if call.startswith("kind create")]
    assert "--image=mirror/kindest/node:v1.34.4" in created.split()


def test_a_cluster_too_old_is_refused_with_a_way_out(provider: KindProvider, tmp_path: Path) -> None:
    (tmp_path / "version").write_text('{"serverVersion": {"gitVersion": "v1.30.4"}}')
    with pytest.raises(MissingRequirementError, match=r"v1\.30\.4, and 1\.31") as caught:
        provider.up(with_kwok=False)
    assert "make cluster-down" in caught.value.hint


LACKS = {
    "kind": ({"kind": None}, "'kind'"),
    "a kind of today": ({"kind": "echo kind v0.23.0 go1.22.3"}, r"v0\.23\.0"),
    "a daemon": ({"docker": "exit 1"}, "daemon"),
    "Go": ({"go": None}, "'go'"),
}


@pytest.mark.parametrize(("scripts", "named"), LACKS.values(), ids=LACKS.keys())
def test_what_is_missing_is_named_before_anything_is_created(
    scripts: dict[str, str | None], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = {name: body for name, body in (SCRIPTS | scripts).items() if body is not None}
    install(tmp_path, monkeypatch, present)
    provider = KindProvider(Layout(cache=tmp_path / "cache", state=tmp_path / "state"))
    with pytest.raises(MissingRequirementError, match=named) as caught:
        provider.prepare(with_kwok=False)
    assert caught.value.hint
    assert not any("create" in call for call in calls(tmp_path))


def test_an_image_travels_through_the_cache_and_leaves_nothing_there(
    provider: KindProvider, tmp_path: Path
) -> None:
    (tmp_path / "size").write_text("1000")
    provider.load_image("llmfinetune/trainer:dev")
    assert f"TMPDIR {provider.layout.archives}" in calls(tmp_path)
    assert provider.layout.archives.is_relative_to(tmp_path / "cache")
    assert not provider.layout.archives.exists()


def test_an_image_that_finds_no_room_is_not_even_packed(provider: KindProvider, tmp_path: Path) -> None:
    (tmp_path / "size").write_text(str(10**9 * GIGABYTES))
    with pytest.raises(DevClusterError, match="GB free") as caught:
        provider.load_image("llmfinetune/trainer:dev")
    assert "XDG_CACHE_HOME" in caught.value.hint
    assert not any("kind load" in call for call in calls(tmp_path))
