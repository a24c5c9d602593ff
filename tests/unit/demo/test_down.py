"""What the way back from the demonstration removes, and what it leaves alone."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace

import pytest

from demo import down as way_back
from demo.record import PLACE, Made, recall, remember
from demo.stack import RESOURCE
from demo.text import closing_line
from devcluster.errors import DevClusterError, NotRunningError
from devcluster.training_operator import CRD

MINE = "mine"


@dataclass
class Cluster:
    """A cluster, and the provider of it, that answers as kubectl would and notes what it is told."""

    fine_tunes_of_others: int = 0
    jobs_of_others: int = 0
    running: bool = True
    calls: list[tuple[str, ...]] = field(default_factory=list)
    removed_training_operator: bool = False
    taken_down: bool = False

    def __call__(self, *arguments: str, **_: object) -> str:
        self.calls.append(arguments)
        counts = {RESOURCE: self.fine_tunes_of_others, CRD: self.jobs_of_others}
        return json.dumps({"items": [{}] * next((counts[a] for a in arguments if a in counts), 0)})

    def attempt(self, *_: str) -> CompletedProcess[str]:
        return CompletedProcess([], 0, "", "")

    def context(self) -> str:
        return MINE

    def is_running(self) -> bool:
        return self.running

    def kubectl(self) -> "Cluster":
        return self

    def remove(self) -> None:
        self.removed_training_operator = True

    @property
    def removed(self) -> set[str]:
        """What was deleted; the operator goes by its manifests."""
        deletions = [call for call in self.calls if "delete" in call]
        found = {"namespace" if "namespace" in call else "operator" for call in deletions}
        return found | ({"training-operator"} if self.removed_training_operator else set())


@dataclass(frozen=True)
class Case:
    made: Made | None
    others: int = 0
    jobs: int = 0
    removed: frozenset[str] = frozenset()
    taken_down: bool = False
    left: Made | None = None
    """What stays on record."""


CASES = {
    "nothing on record: nothing is touched": Case(made=None),
    "the demonstration's own cluster goes as a whole": Case(
        made=Made(MINE, cluster=True, operator=True), taken_down=True
    ),
    "namespace and both operators, where they came with the demonstration": Case(
        made=Made(MINE, operator=True, training_operator=True),
        removed=frozenset({"namespace", "operator", "training-operator"}),
    ),
    "a training-operator that was there before stays": Case(
        made=Made(MINE, operator=True), removed=frozenset({"namespace", "operator"})
    ),
    "an operator that was there before stays": Case(made=Made(MINE), removed=frozenset({"namespace"})),
    "operators that others use by now stay, and stay on record": Case(
        made=Made(MINE, operator=True, training_operator=True),
        others=2,
        removed=frozenset({"namespace"}),
        left=Made(MINE, operator=True, training_operator=True),
    ),
    "a training-operator that serves jobs of others stays alone": Case(
        made=Made(MINE, operator=True, training_operator=True),
        jobs=1,
        removed=frozenset({"namespace", "operator"}),
        left=Made(MINE, training_operator=True),
    ),
}


def place(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def take_down(_: str) -> None:
        cluster.taken_down = True

    doubles = {
        "chosen_provider": lambda _: cluster,
        "training_operator": lambda _: cluster,
        "take_down": take_down,
    }
    monkeypatch.setattr(way_back, "cluster", SimpleNamespace(**doubles))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_only_what_the_demonstration_made_is_removed(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(fine_tunes_of_others=case.others, jobs_of_others=case.jobs)
    place(cluster, monkeypatch)
    if case.made:
        remember(tmp_path, case.made)
    way_back.down(tmp_path)
    assert cluster.removed == case.removed
    assert cluster.taken_down == case.taken_down
    assert recall(tmp_path) == case.left


def test_another_cluster_than_that_of_the_demonstration_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    place(cluster, monkeypatch)
    remember(tmp_path, Made("theirs", operator=True))
    with pytest.raises(DevClusterError, match=r"'theirs'.*'mine'") as caught:
        way_back.down(tmp_path)
    assert caught.value.hint == "kubectl config use-context theirs"
    assert not cluster.removed
    assert recall(tmp_path) is not None


def test_a_cluster_that_does_not_answer_is_no_cluster_that_was_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(Cluster(running=False), monkeypatch)
    remember(tmp_path, Made(MINE, operator=True))
    with pytest.raises(NotRunningError, match="does not answer") as caught:
        way_back.down(tmp_path)
    assert f"rm {PLACE}" in caught.value.hint
    assert recall(tmp_path) == Made(MINE, operator=True)


def test_without_a_record_the_ways_out_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    way_back.down(tmp_path)
    said = capsys.readouterr().out
    assert "make cluster-down" in said
    assert "kubectl delete namespace llmfinetune-demo" in said


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
