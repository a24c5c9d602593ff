"""What is said of a pod that does not come up."""

import json
from dataclasses import dataclass, field
from subprocess import CompletedProcess
from typing import Any

import pytest

from demo.kubectl import Namespace
from demo.pods import READY, wait_for_pod, why
from devcluster.errors import NotReadyInTimeError

PULLING = {
    "reason": "Pulling",
    "message": 'Pulling image "trainer:1"',
    "lastTimestamp": "2026-01-01T00:00:02Z",
}
SCHEDULED = {"reason": "Scheduled", "message": "Assigned to node-1", "eventTime": "2026-01-01T00:00:01.5Z"}
CREATING = {"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}
CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str]] = {
    "nothing is known yet": ({}, [], "phase Pending"),
    "an image is being pulled": (
        CREATING,
        [PULLING, SCHEDULED],
        'ContainerCreating; Pulling: Pulling image "trainer:1"',
    ),
    "an image that there is not": (
        {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]},
        [],
        "ErrImagePull: not found",
    ),
    "no node has room": (
        {
            "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}
            ]
        },
        [],
        "Unschedulable: 0/3",
    ),
    "a container that ended": (
        {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled"}}}]},
        [],
        "OOMKilled",
    ),
}


@pytest.mark.parametrize(("status", "events", "want"), CASES.values(), ids=CASES.keys())
def test_what_a_pod_waits_for(status: dict[str, Any], events: list[dict[str, Any]], want: str) -> None:
    assert why({"status": status}, events) == want


@dataclass
class Kubectl:
    """Has a pod that is not as wanted for a number of waits."""

    status: dict[str, Any]
    waits: int
    asked: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str, **_: object) -> str:
        return json.dumps({"items": [PULLING]} if "events" in arguments else {"status": self.status})

    def attempt(self, *arguments: str, **_: object) -> CompletedProcess[str]:
        self.asked += [argument for argument in arguments if argument.startswith("--for=")]
        return CompletedProcess([], int(len(self.asked) <= self.waits), "", "")


def wait(kubectl: Kubectl, **options: float) -> None:
    wait_for_pod(Namespace(kubectl, "there"), "loader", READY, **options)  # type: ignore[arg-type]


def test_waiting_says_once_what_for(capsys: pytest.CaptureFixture[str]) -> None:
    kubectl = Kubectl(CREATING, waits=3)
    wait(kubectl)
    assert kubectl.asked == ["--for=condition=Ready"] * 4
    assert capsys.readouterr().out == 'pod loader: ContainerCreating; Pulling: Pulling image "trainer:1"\n'


@pytest.mark.parametrize(
    ("status", "words"),
    [(CREATING, "still waits after 0 s: ContainerCreating"), ({"phase": "Failed"}, "ended: Pulling")],
    ids=["its time is up", "it failed"],
)
def test_a_wait_in_vain_ends_with_the_reason_and_a_way_on(status: dict[str, Any], words: str) -> None:
    with pytest.raises(NotReadyInTimeError, match=words) as caught:
        wait(Kubectl(status, waits=9), timeout=0)
    assert caught.value.hint == "kubectl -n there describe pod loader"
