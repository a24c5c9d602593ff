"""What counts against maxRestarts, and how long workers that keep failing wait."""

from collections.abc import Callable

import pytest

from tests.unit.operator.decide.world import JOB, World, failure_message

WORKERS = ("medical-worker-0", "medical-worker-1")


def gone(world: World) -> None:
    del world.pods[WORKERS[1]]


def both_gone(world: World) -> None:
    for name in WORKERS:
        del world.pods[name]


def disrupted(word: str, code: int | None = 143) -> Callable[[World], None]:
    return lambda world: world.disrupt(WORKERS[1], word, code)


def peer_lost_it_too(world: World) -> None:
    world.disrupt(WORKERS[0], "EvictionByEvictionAPI")
    world.end(WORKERS[1], 138)


def peer_noticed_late(world: World) -> None:
    world.disrupt(WORKERS[0], "PreemptionByScheduler")
    world.settle()
    world.replace(WORKERS[0])
    world.settle()
    world.wait(90)
    world.end(WORKERS[1], 138)


def peer_waits_for_one_without_a_node(world: World) -> None:
    world.pods[WORKERS[0]]["status"] = {"phase": "Pending"}
    world.end(WORKERS[1], 138)


def scaled_away(world: World) -> None:
    world.edit(workers={"replicas": 1, "minReplicas": 1, "maxReplicas": 4})
    world.end(WORKERS[0], 138)
    world.settle()
    world.edit(workers={"replicas": 2, "minReplicas": 1, "maxReplicas": 4})
    world.settle()


def whole_job(word: str) -> Callable[[World], None]:
    def fail(world: World) -> None:
        world.disrupt(WORKERS[0], word, 1)
        world.finish_job(JOB, "Failed")

    return fail


FREE: dict[str, tuple[Callable[[World], None], str | None]] = {
    "a pod is deleted": (gone, None),
    "all pods are deleted": (both_gone, None),
    "told to stop": (lambda world: world.end(WORKERS[1], 143), "Preempted"),
    "preempted by the scheduler": (disrupted("PreemptionByScheduler"), "Preempted"),
    "preempted before it could stop by itself": (disrupted("PreemptionByScheduler", 137), "Preempted"),
    "preempted by the kubelet": (disrupted("Preempting", None), "Preempted"),
    "drained": (disrupted("EvictionByEvictionAPI"), "Evicted"),
    "evicted under pressure": (disrupted("Evicted", None), "Evicted"),
    "node does not answer": (disrupted("DeletionByTaintManager", None), "NodeLost"),
    "node is gone": (disrupted("DeletionByPodGC", None), "NodeLost"),
    "node lost": (disrupted("NodeLost", None), "NodeLost"),
    "node shut down": (disrupted("Terminated", 137), "NodeLost"),
    "node had no room after all": (disrupted("OutOfcpu", None), "Scheduling"),
    "a peer went down with the evicted one": (peer_lost_it_too, "Evicted"),
    "a peer noticed long after": (peer_noticed_late, "Network"),
    "a peer waits for one that has no node": (peer_waits_for_one_without_a_node, "Network"),
    "a peer was scaled away": (scaled_away, "Network"),
    "a drain that a foreign program answers with 1": (whole_job("EvictionByEvictionAPI"), "Evicted"),
    "a node loss that fails the job": (whole_job("DeletionByPodGC"), "NodeLost"),
}
"""What happens, and what is told of it: a pod that is gone without a trace tells nothing."""


@pytest.mark.parametrize(("happens", "told"), FREE.values(), ids=FREE.keys())
def test_what_is_nobodys_failure_is_told_and_never_uses_up_max_restarts(
    happens: Callable[[World], None], told: str | None
) -> None:
    world = World(runPolicy={"maxRestarts": 0}).training()
    for _ in range(4):
        world.wait(400)
        happens(world)
        world.settle()
        assert world.status.get("failure", {}).get("category") == told
        world.pods = {name: pod for name, pod in world.pods.items() if "prepare" in name}
        world.settle()
        world.start_workers()
        world.settle()
    assert (world.phase, "failure" in world.status) == ("Training", False)
    assert world.status["workers"]["failures"] == 0


def all_lost_each_other(world: World) -> None:
    for name in WORKERS:
        world.end(name, 138)


def scratch_space_full(world: World) -> None:
    world.disrupt(WORKERS[1], "Evicted", None)
    world.pods[WORKERS[1]]["status"]["message"] = "ephemeral local storage usage exceeds the limit"


COUNTED: dict[str, tuple[Callable[[World], None], str]] = {
    "killed by somebody": (lambda world: world.end(WORKERS[1], 137), "Internal"),
    "a defect": (lambda world: world.end(WORKERS[1], 139), "Internal"),
    "peers lost while all are there": (lambda world: world.end(WORKERS[1], 138), "Network"),
    "all lost each other": (all_lost_each_other, "Network"),
    "scratch space full": (scratch_space_full, "DiskFull"),
}


@pytest.mark.parametrize(("happens", "reason"), COUNTED.values(), ids=COUNTED.keys())
def test_what_workers_do_by_themselves_counts(happens: Callable[[World], None], reason: str) -> None:
    world = World().training()
    happens(world)
    world.settle()
    workers = world.status["workers"]
    assert (workers["restarts"], workers["failures"], workers["lastRestartReason"]) == (1, 1, reason)


@pytest.mark.parametrize(("happens", "reason"), COUNTED.values(), ids=COUNTED.keys())
@pytest.mark.parametrize("is_replaced", [True, False], ids=["replaced already", "not yet replaced"])
def test_a_failed_pod_that_is_gone_before_anybody_looks_counts_the_same(
    happens: Callable[[World], None], reason: str, is_replaced: bool
) -> None:
    world = World().training()
    happens(world)
    for name in WORKERS:
        if world.pods[name]["status"]["phase"] == "Failed":
            world.failed_pods.append(world.pods.pop(name))
            if is_replaced:
                world.replace(name)
    world.settle()
    workers = world.status["workers"]
    assert (workers["restarts"], workers["failures"], workers["lastRestartReason"]) == (1, 1, reason)


def test_training_that_was_started_again_inside_a_pod_is_told() -> None:
    world = World().training()
    world.told(step=1, total_steps=10, restarts=1)
    world.settle()
    assert world.status["workers"]["restartsInPod"] == 1
    assert world.status["workers"]["restarts"] == 0
    assert world.posted.count("TrainingRestarted") == 1
    world.report = None
    assert world.reconcile() == 0


def crash(world: World, code: int = 137) -> None:
    """A worker crashes, and the training operator replaces it at once."""
    world.wait(40)
    world.end(WORKERS[0], code)
    world.settle()
    world.replace(WORKERS[0])
    world.settle()


def test_a_crash_of_workers_that_an_edit_replaces_is_not_held_against_the_edit() -> None:
    world = World(runPolicy={"maxRestarts": 1}).training()
    crash(world)
    world.wait(40)
    world.edit(runtime={"image": "a:1"})
    world.end(WORKERS[0], 137)
    world.settle()
    assert (world.phase, world.status["attempt"]) == ("Training", 2)
    assert world.status["workers"]["failures"] == 1


def test_one_crash_is_left_to_the_training_operator() -> None:
    world = World().training()
    crash(world)
    assert world.status["attempt"] == 1
    assert world.status["workers"]["failuresInARow"] == 1


def test_a_crash_loop_is_slowed_down_by_waits_that_double() -> None:
    world = World(runPolicy={"maxRestarts": 5}).training()
    crash(world)
    waits = []
    for attempt in range(2, 6):
        crash(world)
        assert world.status["attempt"] == attempt
        assert JOB not in world.children, "nothing runs during the wait"
        assert "nextStartTime" in world.status["workers"]
        assert world.status["failure"]["reason"] == "ContainerKilled", "what is waited for stays told"
        began = world.now
        while JOB not in world.children:
            wake_at = world.decide().wake_at
            assert wake_at is not None
            world.now = wake_at
            world.settle()
        waits.append((world.now - began).total_seconds())
        world.start_workers()
        world.settle()
        assert "nextStartTime" not in world.status["workers"]
    assert waits == [20.0, 40.0, 80.0, 160.0]
    crash(world)
    assert world.phase == "Failed"
    assert "gave up after 5 restarts" in world.status["failure"]["message"]
    assert JOB not in world.children


def test_a_new_checkpoint_lets_the_waits_begin_anew_but_not_the_count() -> None:
    world = World().training()
    crash(world)
    world.checkpoint(50)
    world.settle()
    assert world.status["workers"]["failuresInARow"] == 0
    crash(world)
    workers = world.status["workers"]
    assert (workers["failures"], workers["failuresInARow"], workers["checkpointAtFailure"]) == (2, 1, 50)
    assert world.status["attempt"] == 1


def test_a_checkpoint_of_before_the_failure_is_no_progress() -> None:
    world = World().training()
    world.checkpoint(50)
    crash(world)
    world.checkpoint(50)
    world.settle()
    assert world.status["workers"]["failuresInARow"] == 1


def test_a_suspension_ends_the_wait() -> None:
    world = World().training()
    crash(world)
    crash(world)
    world.edit(runPolicy={"suspend": True})
    world.settle()
    world.edit(runPolicy={"suspend": False})
    world.settle()
    assert JOB in world.children


def test_diverged_ends_at_once_with_the_step_and_keeps_the_checkpoint() -> None:
    world = World().training()
    world.checkpoint(50)
    world.settle()
    world.end(WORKERS[0], 4, failure_message("Diverged", "LossNotFinite"))
    world.finish_job(JOB, "Failed")
    world.settle()
    assert world.phase == "Failed"
    failure = world.status["failure"]
    assert (failure["category"], failure["retryable"]) == ("Diverged", False)
    assert world.status["checkpoint"]["step"] == 50
    assert world.status["attempt"] == 1
