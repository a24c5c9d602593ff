"""When tests that need a cluster may say that there is none, and that they leave none behind."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from devcluster.errors import DevClusterError
from tests.e2e import place
from tests.e2e.place import KEEP, NoClusterError, opened


@dataclass
class Cluster:
    """Steps of opening, one of which may fail, noted in order."""

    was_running: bool = False
    broken: str = ""
    done: list[str] = field(default_factory=list)

    def step(self, name: str, result: object = None) -> Callable[..., object]:
        def run(*_: object) -> object:
            self.done.append(name)
            if name == self.broken:
                raise DevClusterError(name)
            return result

        return run


def put(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEEP, raising=False)
    found = SimpleNamespace(is_running=cluster.was_running)
    names = {"find": found, "bring_up": None, "load_images": {}, "take_down": None}
    steps = {name: cluster.step(name, result) for name, result in names.items()}
    kubectl = SimpleNamespace(run=lambda *_, **__: "", to=lambda _: None)
    monkeypatch.setattr(place, "cluster", SimpleNamespace(kubectl=lambda: None, **steps))
    monkeypatch.setattr(place, "Namespace", lambda *_: kubectl)
    for name in ("install_operator", "furnish"):
        monkeypatch.setattr(place, name, cluster.step(name))


def outcome(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> type[Exception] | None:
    put(cluster, monkeypatch)
    try:
        with opened("somewhere"):
            return None
    except (NoClusterError, DevClusterError) as error:
        return type(error)


CASES = {
    "none can be had": (Cluster(broken="find"), NoClusterError, False),
    "one that comes up halfway is taken down": (Cluster(broken="bring_up"), NoClusterError, True),
    "a broken image build is a failure": (Cluster(broken="load_images"), DevClusterError, True),
    "an operator that crashes is a failure": (Cluster(broken="install_operator"), DevClusterError, True),
    "a model that does not get there is a failure": (Cluster(broken="furnish"), DevClusterError, True),
    "all went well": (Cluster(), None, True),
    "a cluster that was there stays": (Cluster(was_running=True), None, False),
    "a cluster that was there stays in failure too": (
        Cluster(was_running=True, broken="install_operator"),
        DevClusterError,
        False,
    ),
}


@pytest.mark.parametrize(("cluster", "error", "taken_down"), CASES.values(), ids=CASES.keys())
def test_only_the_want_of_a_cluster_counts_as_such(
    cluster: Cluster, error: type[Exception] | None, taken_down: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome(cluster, monkeypatch) is error
    assert ("take_down" in cluster.done) == taken_down


def test_a_cluster_that_is_to_be_kept_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    put(cluster, monkeypatch)
    monkeypatch.setenv(KEEP, "1")
    with opened("somewhere"):
        pass
    assert "take_down" not in cluster.done
