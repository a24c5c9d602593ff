"""Containers that admission adds to a pod: they can hold it up, and never tell how the work went."""

from typing import Any

import pytest

from llmfinetune_operator.policies import containers, pods
from llmfinetune_operator.policies.termination import explain

State = dict[str, Any]
RUNNING: State = {"running": {"startedAt": "2026-11-21T12:00:00Z"}}


def ended(code: int) -> State:
    return {"terminated": {"exitCode": code, "finishedAt": "2026-11-21T12:00:00Z"}}


def waits(reason: str) -> State:
    return {"waiting": {"reason": reason, "message": f"says {reason}"}}


def pod(phase: str = "Running", init: dict[str, State] | None = None, **states: State) -> dict[str, Any]:
    """A pod whose containers are in these states; `pytorch` is ours."""

    def statuses(given: dict[str, State]) -> list[dict[str, Any]]:
        return [{"name": name, "state": state} for name, state in given.items()]

    return {
        "metadata": {"name": "medical-worker-0"},
        "spec": {
            "containers": [{"name": name, "image": f"{name}:1"} for name in states],
            "initContainers": [{"name": name, "image": f"{name}:1"} for name in init or {}],
        },
        "status": {
            "phase": phase,
            "containerStatuses": statuses(states),
            "initContainerStatuses": statuses(init or {}),
        },
    }


HELD = waits("PodInitializing")
WAITING: dict[str, tuple[dict[str, Any], tuple[str, str] | None]] = {
    "nothing waits": (pod(pytorch=RUNNING), None),
    "ours, for its turn": (pod("Pending", {"proxy-init": RUNNING}, pytorch=HELD), None),
    "ours, for its image": (pod("Pending", pytorch=waits("ErrImagePull")), ("pytorch", "ErrImagePull")),
    "an init container, and ours behind it": (
        pod("Pending", {"proxy-init": waits("ImagePullBackOff")}, pytorch=HELD),
        ("proxy-init", "ImagePullBackOff"),
    ),
    "ours before another": (
        pod("Pending", agent=waits("ErrImagePull"), pytorch=waits("InvalidImageName")),
        ("pytorch", "InvalidImageName"),
    ),
    "another beside ours": (
        pod("Pending", pytorch=RUNNING, agent=waits("ErrImagePull")),
        ("agent", "ErrImagePull"),
    ),
}


@pytest.mark.parametrize(("given", "found"), WAITING.values(), ids=WAITING.keys())
def test_what_waits(given: dict[str, Any], found: tuple[str, str] | None) -> None:
    waiting = containers.waiting(given)
    assert (None if waiting is None else (waiting.container.name, waiting.reason)) == found


ENDED: dict[str, tuple[dict[str, Any], tuple[str, int] | None]] = {
    "nothing has": (pod(pytorch=RUNNING), None),
    "ours": (pod("Failed", pytorch=ended(137)), ("", 137)),
    "ours beside one that runs on": (pod(agent=RUNNING, pytorch=ended(0)), ("", 0)),
    "another beside ours": (pod(agent=ended(1), pytorch=RUNNING), None),
    "an init container, as it should": (pod("Pending", {"proxy-init": ended(0)}, pytorch=HELD), None),
    "an init container that is tried again": (pod("Pending", {"proxy-init": ended(1)}, pytorch=HELD), None),
    "an init container, and the pod with it": (
        pod("Failed", {"first": ended(0), "proxy-init": ended(4)}, pytorch=HELD),
        ("proxy-init", 4),
    ),
    "both": (pod("Failed", agent=ended(1), pytorch=ended(138)), ("", 138)),
    "the pod, without a word of any": (pod("Failed", pytorch=HELD), ("", 137)),
}


@pytest.mark.parametrize(("given", "found"), ENDED.values(), ids=ENDED.keys())
def test_how_a_pod_ended(given: dict[str, Any], found: tuple[str, int] | None) -> None:
    end = pods.termination(given)
    assert (None if end is None else (end.added, end.exit_code)) == found


def test_exit_codes_of_others_mean_nothing_to_us() -> None:
    """With ours, 4 is a loss that exploded."""
    end = pods.termination(pod("Failed", {"proxy-init": ended(4)}, pytorch=HELD))
    assert end is not None
    failure = explain(end)
    assert (failure.category, failure.reason, failure.retryable) == ("Internal", "AddedContainerFailed", True)
    assert "proxy-init" in failure.message


OUTLIVING: dict[str, tuple[dict[str, Any], str | None]] = {
    "ours runs": (pod(agent=RUNNING, pytorch=RUNNING), None),
    "ours has ended alone": (pod(pytorch=ended(0)), None),
    "another runs on": (pod(agent=RUNNING, pytorch=ended(0)), "agent"),
    "one that ends with the others runs on": (pod("Running", {"proxy": RUNNING}, pytorch=ended(0)), None),
}


@pytest.mark.parametrize(("given", "name"), OUTLIVING.values(), ids=OUTLIVING.keys())
def test_what_keeps_a_pod_from_ending(given: dict[str, Any], name: str | None) -> None:
    found = containers.outliving(given)
    assert (None if found is None else found.name) == name
