"""Pods that do not go though they were told to: who holds the next attempt up, and what to do, is told."""

from typing import Any

import pytest

from llmfinetune_operator.policies.stuck import PATIENCE
from tests.unit.operator.decide.world import JOB, World

GRACE, NODE, WORKER = 25, "near", "medical-worker-0"


class StickyWorld(World):
    """A cluster in which one pod stays until a person helps."""

    def lose(self, ref: Any) -> None:
        stuck = self.pods.get(WORKER)
        super().lose(ref)
        if stuck is not None:
            self.pods[WORKER] = stuck
            self.tell_to_go(stuck)


def training() -> StickyWorld:
    world = StickyWorld()
    world.training()
    world.pods[WORKER]["spec"]["nodeName"] = NODE
    world.settle()
    return world


def restart(world: World) -> None:
    world.edit(runtime={"image": "trainer:2"})


def suspend(world: World) -> None:
    world.edit(runPolicy={"suspend": True})
    world.settle()
    del world.pods["medical-worker-1"]  # by the training operator, which keeps the job
    world.tell_to_go(world.pods[WORKER])


def suspend_in_a_queue(world: World) -> None:
    world.edit(runPolicy={"suspend": True, "queueName": "team"})


HELD = {
    "by a finalizer": (["example.com/hold"], "example.com/hold", "kubectl patch pod medical-worker-0"),
    "by its storage": ([], "a process in it does not end", "kubectl delete pod medical-worker-0 --force"),
}


@pytest.mark.parametrize("change", [restart, suspend, suspend_in_a_queue])
@pytest.mark.parametrize(("finalizers", "why", "hint"), HELD.values(), ids=HELD.keys())
def test_a_pod_that_holds_the_next_attempt_up_is_told_with_its_node(
    change: Any, finalizers: list[str], why: str, hint: str
) -> None:
    world = training()
    world.pods[WORKER]["metadata"]["finalizers"] = finalizers
    change(world)
    world.live_for(GRACE + PATIENCE.total_seconds() - 1)
    assert "failure" not in world.status
    world.live_for(2)
    failure = world.status["failure"]
    assert (failure["category"], failure["reason"], failure["pod"]) == ("Volume", "PodStuck", WORKER)
    assert f"on node '{NODE}'" in failure["message"]
    assert why in failure["message"]
    assert hint in failure["hint"]
    assert world.phase != "Training"
    world.pods = {}
    world.edit(runPolicy={"suspend": False})
    world.settle()
    assert JOB in world.children
    assert "failure" not in world.status
