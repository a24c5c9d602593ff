"""What goes on record before it is made, so that the way back finds it however far a run comes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from demo import run as demonstration
from demo.cluster import Found
from demo.record import Made, recall
from devcluster.errors import DevClusterError


@dataclass(frozen=True)
class Case:
    is_running: bool
    has_training_operator: bool
    has_operator: bool
    breaks: str
    """The step that fails."""
    want: Made


CASES = {
    "a cluster that comes up halfway": Case(
        False, False, False, "bring_up", Made("mine", "kind", cluster=True)
    ),
    "a training-operator that is installed halfway": Case(
        True, False, False, "bring_up", Made("mine", "kind", training_operator=True)
    ),
    "images that cannot be built leave a cluster found as it was": Case(
        True, True, False, "load_images", Made("mine", "kind")
    ),
    "an operator that does not become ready": Case(
        True, True, False, "install_operator", Made("mine", "kind", operator=True)
    ),
    "an operator that was there before": Case(True, True, True, "install_operator", Made("mine", "kind")),
}


def failing(name: str, broken: str) -> Callable[..., dict[str, str]]:
    def step(*_: object) -> dict[str, str]:
        if name == broken:
            raise DevClusterError(name)
        return {}

    return step


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_a_broken_run_leaves_is_on_record(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Found("kind", "mine", case.is_running, case.has_training_operator)
    steps = {name: failing(name, case.breaks) for name in ("bring_up", "load_images")}
    doubles = SimpleNamespace(find=lambda: found, kubectl=lambda: None, **steps)
    monkeypatch.setattr(demonstration, "cluster", doubles)
    monkeypatch.setattr(demonstration, "has_operator", lambda _: case.has_operator)
    monkeypatch.setattr(demonstration, "install_operator", failing("install_operator", case.breaks))
    with pytest.raises(DevClusterError, match=case.breaks):
        demonstration.run(tmp_path)
    assert recall(tmp_path) == case.want
