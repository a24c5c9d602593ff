"""Nodes that stop to answer, and pods that nobody else can end."""

from typing import Any

import pytest

from llmfinetune_operator.observed import ChildRef
from tests.unit.operator.decide.world import JOB, PREPARE, World

GRACE, OVERDUE = 25, 10
NODE = "far-away"


def on_node(pod: dict[str, Any], name: str = NODE) -> dict[str, Any]:
    """Puts a running pod onto a node whose kubelet says that all is well."""
    pod["spec"]["nodeName"] = name
    for kind in ("Ready", "ContainersReady"):
        set_condition(pod, kind, "True")
    return pod


def set_condition(pod: dict[str, Any], kind: str, status: str, reason: str = "") -> None:
    others = [each for each in pod["status"]["conditions"] if each["type"] != kind]
    pod["status"]["conditions"] = [*others, {"type": kind, "status": status, "reason": reason}]


def training() -> World:
    """Two workers on two nodes."""
    world = World().training()
    on_node(world.pods["medical-worker-0"])
    on_node(world.pods["medical-worker-1"], "near")
    world.settle()
    return world


def fall_silent(world: World, name: str = "medical-worker-0") -> dict[str, Any]:
    """The control plane hears nothing of a pod's node."""
    world.silent_nodes.add(NODE)
    set_condition(world.pods[name], "Ready", "False")
    world.settle()
    return world.pods[name]


def give_up(world: World, name: str = "medical-worker-0") -> None:
    """Kubernetes deletes a pod, because its node stayed silent for longer than the pod puts up with."""
    pod = world.pods[name]
    set_condition(pod, "DisruptionTarget", "True", "DeletionByTaintManager")
    world.tell_to_go(pod)
    world.settle()


def test_a_silent_node_is_told_and_nothing_more() -> None:
    world = training()
    fall_silent(world)
    failure = world.status["failure"]
    assert (failure["category"], failure["reason"]) == ("NodeLost", "NodeUnreachable")
    assert NODE in failure["message"]
    assert "medical-worker-0" in failure["message"]
    assert (world.status["attempt"], world.status["workers"]["restarts"]) == (1, 0)


def test_a_node_that_answers_again_leaves_no_trace() -> None:
    world = training()
    pod = fall_silent(world)
    set_condition(pod, "Ready", "True")
    world.live_for(600)
    assert "failure" not in world.status
    assert (world.status["attempt"], world.status["workers"]["restarts"]) == (1, 0)


def test_all_workers_start_anew_when_one_is_given_up() -> None:
    world = training()
    fall_silent(world)
    give_up(world)
    workers = world.status["workers"]
    assert (workers["restarts"], workers.get("failures", 0)) == (1, 0)
    assert workers["lastRestartReason"] == "NodeLost"
    assert world.status["attempt"] == 2
    assert JOB not in world.children  # its name is still taken by the pod that nobody ends
    assert set(world.pods) & {"medical-worker-0", "medical-worker-1"} == {"medical-worker-0"}


def test_a_pod_that_its_node_never_tells_the_end_of_makes_room_after_its_grace() -> None:
    world = training()
    fall_silent(world)
    give_up(world)
    world.live_for(GRACE + OVERDUE - 1)
    assert "medical-worker-0" in world.pods
    world.live_for(2)
    assert "medical-worker-0" not in world.pods
    assert JOB in world.children
    world.start_workers()
    world.settle()
    assert (world.phase, world.status["workers"]["restarts"]) == ("Training", 1)


def test_two_workers_of_one_lost_node_are_one_restart() -> None:
    world = World().training()
    for name in ("medical-worker-0", "medical-worker-1"):
        on_node(world.pods[name])
    for name in ("medical-worker-0", "medical-worker-1"):
        fall_silent(world, name)
    for name in ("medical-worker-0", "medical-worker-1"):
        give_up(world, name)
    world.live_for(GRACE + OVERDUE + 1)
    assert (world.status["attempt"], world.status["workers"]["restarts"]) == (2, 1)
    assert not [name for name in world.pods if "worker" in name]


ABRUPT = {
    "the node's runtime came back and found the container ended": (255, "Unknown", ""),
    "the kubelet came back and did not find it": (137, "ContainerStatusUnknown", ""),
    "the node was removed from the cluster": (137, "", "DeletionByPodGC"),
}


@pytest.mark.parametrize(("code", "reason", "disruption"), ABRUPT.values(), ids=ABRUPT.keys())
def test_all_start_anew_when_one_ended_without_closing_its_connections(
    code: int, reason: str, disruption: str
) -> None:
    world = training()
    world.end("medical-worker-0", code, reason=reason)
    if disruption:
        world.disrupt("medical-worker-0", disruption, None)
    world.settle()
    assert world.status["attempt"] == 2
    world.start_workers()
    world.live_for(600)
    workers = world.status["workers"]
    assert (workers["restarts"], workers.get("failures", 0)) == (1, 0)
    assert workers["lastRestartReason"] == "NodeLost"
    assert (world.phase, world.status["attempt"]) == ("Training", 2)


def test_others_go_on_when_one_could_say_goodbye() -> None:
    world = training()
    world.disrupt("medical-worker-0", "DeletionByTaintManager")
    world.settle()
    world.replace("medical-worker-0")
    world.live_for(600)
    assert (world.status["attempt"], world.status["workers"]["lastRestartReason"]) == (1, "NodeLost")


def test_a_pod_that_takes_long_to_end_on_a_node_that_answers_is_left_to_it() -> None:
    world = training()
    world.tell_to_go(world.pods["medical-worker-0"])
    world.live_for(3600)
    assert "medical-worker-0" in world.pods
    assert world.status["attempt"] == 1


@pytest.mark.parametrize("silent_first", [True, False], ids=["silent before", "silent after"])
def test_a_suspension_does_not_wait_for_a_silent_node(silent_first: bool) -> None:
    world = training()
    if silent_first:
        fall_silent(world)
    world.edit(runPolicy={"suspend": True})
    world.settle()
    world.tell_to_go(world.pods["medical-worker-0"])  # by the training operator
    del world.pods["medical-worker-1"]
    if not silent_first:
        fall_silent(world)
    world.live_for(GRACE + OVERDUE + 1)
    assert not [name for name in world.pods if "worker" in name]
    assert (world.phase, world.status["workers"]["restarts"]) == ("Suspended", 0)


def test_preparation_is_done_elsewhere() -> None:
    world = World()
    world.settle()
    world.bind()
    on_node(world.pod("medical-prepare-x", PREPARE))
    world.settle()
    fall_silent(world, "medical-prepare-x")
    assert world.status["failure"]["category"] == "NodeLost"
    give_up(world, "medical-prepare-x")
    world.live_for(GRACE + OVERDUE + 1)
    assert "medical-prepare-x" not in world.pods
    assert ChildRef("batch/v1", "Job", "medical-prepare") in world.children
