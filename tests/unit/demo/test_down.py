"""What the way back from the demonstration removes, and what it leaves alone."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace

import pytest

from demo import run as demonstration
from demo.record import Made, recall, remember
from demo.text import closing_line
from devcluster.errors import DevClusterError

MINE = "mine"


@dataclass
class Cluster:
    """A cluster that answers as kubectl would, and notes what it is told."""

    fine_tunes_of_others: int = 0
    calls: list[tuple[str, ...]] = field(default_factory=list)
    taken_down: bool = False

    def __call__(self, *arguments: str, **_: object) -> str:
        self.calls.append(arguments)
        if arguments[-2:] == ("config", "current-context"):
            return f"{MINE}\n"
        return json.dumps({"items": [{}] * self.fine_tunes_of_others})

    def attempt(self, *_: str) -> CompletedProcess[str]:
        return CompletedProcess([], 0, "", "")

    def is_running(self) -> bool:
        return True

    @property
    def removed(self) -> set[str]:
        """What was deleted; the operator goes by its manifests."""
        deletions = [call for call in self.calls if "delete" in call]
        return {"namespace" if "namespace" in call else "operator" for call in deletions}


@dataclass(frozen=True)
class Case:
    made: Made | None
    others: int = 0
    removed: frozenset[str] = frozenset()
    taken_down: bool = False


CASES = {
    "nothing on record: nothing is touched": Case(made=None),
    "the demonstration's own cluster goes as a whole": Case(made=Made(MINE, cluster=True), taken_down=True),
    "namespace and operator, where the operator came with the demonstration": Case(
        made=Made(MINE, operator=True), removed=frozenset({"namespace", "operator"})
    ),
    "an operator that was there before stays": Case(made=Made(MINE), removed=frozenset({"namespace"})),
    "an operator that others use by now stays": Case(
        made=Made(MINE, operator=True), others=2, removed=frozenset({"namespace"})
    ),
}


def place(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def take_down() -> None:
        cluster.taken_down = True

    doubles = {"kubectl": lambda: cluster, "chosen_provider": lambda: cluster, "take_down": take_down}
    monkeypatch.setattr(demonstration, "cluster", SimpleNamespace(**doubles))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_only_what_the_demonstration_made_is_removed(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(fine_tunes_of_others=case.others)
    place(cluster, monkeypatch)
    if case.made:
        remember(tmp_path, case.made)
    demonstration.down(tmp_path)
    assert cluster.removed == case.removed
    assert cluster.taken_down == case.taken_down
    assert recall(tmp_path) is None


def test_another_cluster_than_that_of_the_demonstration_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    place(cluster, monkeypatch)
    remember(tmp_path, Made("theirs", operator=True))
    with pytest.raises(DevClusterError, match=r"'theirs'.*'mine'") as caught:
        demonstration.down(tmp_path)
    assert caught.value.hint == "kubectl config use-context theirs"
    assert not cluster.removed
    assert recall(tmp_path) is not None


def test_a_second_run_does_not_forget_what_the_first_made(tmp_path: Path) -> None:
    remember(tmp_path, Made(MINE, cluster=True, operator=True))
    remember(tmp_path, Made(MINE))
    assert recall(tmp_path) == Made(MINE, cluster=True, operator=True)


def test_the_closing_line_says_how_it_ended() -> None:
    status = {
        "phase": "Succeeded",
        "progress": {"step": 264},
        "metrics": {"evalLossBefore": "3.507", "evalLoss": "0.1886"},
        "output": {"adapter": "pvc://api-questions/output/adapter"},
    }
    assert closing_line({"status": status}, seconds=366.4) == (
        "demo: Succeeded steps=264 loss=3.507→0.1886 adapter=pvc://api-questions/output/adapter seconds=366"
    )
