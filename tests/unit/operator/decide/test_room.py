"""Workers that find no node: training goes on with the others, says so, and grows back by itself."""

from collections.abc import Collection
from typing import Any

import pytest

from llmfinetune_operator.times import format_time
from tests.unit.operator.decide.world import CLAIM, JOB, World, waiting

TIMEOUT = 120.0
FULL = "0/2 nodes are available: 2 Insufficient memory."


def workers(replicas: int, least: int = 1) -> dict[str, Any]:
    return {"replicas": replicas, "minReplicas": least, "maxReplicas": 4, "schedulingTimeout": "2m"}


def asked(world: World) -> int:
    """Workers that the training job asks for."""
    replicas: int = world.children[JOB]["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"]
    return replicas


def room(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.status["workers"].get("room", {})
    return found


class Cluster(World):
    """A cluster with a number of places for workers, and a training operator and a scheduler at work."""

    def __init__(self, *, places: int, broken: Collection[str] = (), **changes: Any) -> None:
        super().__init__(**changes)
        self.places = places
        self.broken = set(broken)
        """Workers that get a node which cannot pull their image."""
        self.prepared()
        self.run()

    def run(self) -> None:
        """Everybody goes on until nothing changes."""
        for _ in range(6):
            self._training_operator()
            self._scheduler()
            self.settle()

    def _training_operator(self) -> None:
        if JOB not in self.children:
            return
        names = [f"medical-worker-{index}" for index in range(asked(self))]
        for name in [each for each in self.pods if "worker" in each and each not in names]:
            del self.pods[name]
        for name in names:
            if name not in self.pods:
                self.pod(name, JOB, "Pending", conditions=[])

    def _scheduler(self) -> None:
        pods = [pod for name, pod in sorted(self.pods.items()) if "worker" in name]
        free = self.places - sum(pod["status"]["phase"] == "Running" for pod in pods)
        for pod in (each for each in pods if each["status"]["phase"] == "Pending"):
            if pod["metadata"]["name"] in self.broken:
                pod["status"] = {"phase": "Pending"} | waiting("ImagePullBackOff", "no such host")
                pod["spec"]["nodeName"] = "node-b"
            elif free > 0:
                free -= 1
                pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                pod["spec"]["nodeName"] = "node-a"
            elif not pod["status"]["conditions"]:
                condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                condition |= {"message": FULL, "lastTransitionTime": format_time(self.now)}
                pod["status"]["conditions"] = [condition]

    def pass_time(self, seconds: float) -> None:
        """Time passes, with a look whenever the operator asked for one."""
        until = self.now.timestamp() + seconds
        while (wake_at := self.decide().wake_at) and wake_at.timestamp() <= until:
            self.wait(max(0.5, wake_at.timestamp() - self.now.timestamp()))
            self.run()
        self.wait(max(0.0, until - self.now.timestamp()))
        self.run()

    def message(self) -> str:
        """What the condition says."""
        found = next(each for each in self.status["conditions"] if each["type"] == "WorkersScheduled")
        return str(found["message"])


def test_before_the_timeout_all_are_waited_for_and_a_condition_says_who() -> None:
    cluster = Cluster(places=2, workers=workers(3))
    assert (asked(cluster), cluster.phase) == (3, "Training")
    assert cluster.condition("WorkersScheduled") == ("False", "Waiting")
    assert cluster.message() == f"2 of 3 workers have a node to run on: {FULL}"
    assert cluster.status["workers"]["rescales"] == 0


def test_after_the_timeout_training_goes_on_with_those_that_have_a_node() -> None:
    cluster = Cluster(places=2, workers=workers(3))
    cluster.pass_time(TIMEOUT)
    assert asked(cluster) == 2
    assert cluster.condition("WorkersScheduled") == ("False", "InsufficientResources")
    for part in [
        "2 of 3 workers",
        "within 2m",
        FULL,
        "ReadWriteOnce",
        "Make room",
        room(cluster)["retryTime"],
    ]:
        assert part in cluster.message()
    told = cluster.status["workers"]
    assert (told["desired"], told["rescales"], told["lastRescaleReason"]) == (3, 1, "InsufficientResources")
    assert (cluster.phase, cluster.condition("Training")[0]) == ("Training", "True")
    assert "failure" not in cluster.status
    assert "Rescaled" in cluster.posted
    assert cluster.reconcile() == 0


def test_workers_that_run_are_not_disturbed_and_nobody_counts_as_lost() -> None:
    cluster = Cluster(places=2, workers=workers(4))
    before = {name: pod["metadata"]["uid"] for name, pod in cluster.pods.items() if "worker-0" in name}
    cluster.pass_time(TIMEOUT + cluster.settings.room_retry_seconds + TIMEOUT)
    assert {name: cluster.pods[name]["metadata"]["uid"] for name in before} == before
    assert (cluster.status["workers"]["restarts"], cluster.status["workers"]["failures"]) == (0, 0)


def test_it_grows_back_when_there_is_room() -> None:
    cluster = Cluster(places=2, workers=workers(3))
    cluster.pass_time(TIMEOUT)
    cluster.places = 3
    assert asked(cluster) == 2
    cluster.pass_time(cluster.settings.room_retry_seconds)
    assert asked(cluster) == 3
    assert cluster.condition("WorkersScheduled") == ("True", "AllScheduled")
    told = cluster.status["workers"]
    assert (told["rescales"], told["lastRescaleReason"], "room" in told) == (2, "ResourcesAvailable", False)


def test_it_grows_in_part_when_there_is_room_for_some() -> None:
    cluster = Cluster(places=1, workers=workers(4))
    cluster.pass_time(TIMEOUT)
    assert asked(cluster) == 1
    cluster.places = 3
    cluster.pass_time(cluster.settings.room_retry_seconds + TIMEOUT)
    assert (asked(cluster), room(cluster)["limit"], room(cluster)["retries"]) == (3, 3, 1)
    assert cluster.status["workers"]["lastRescaleReason"] == "ResourcesAvailable"


def test_tries_in_vain_wait_longer_and_longer_and_are_no_rescale() -> None:
    cluster = Cluster(places=2, workers=workers(3))
    cluster.settings = replace_settings(cluster, stall_start_seconds=604_800.0)
    cluster.pass_time(TIMEOUT)
    waits = []
    for _ in range(7):
        started = cluster.now
        wake_at = cluster.decide().wake_at
        assert wake_at is not None
        waits.append((wake_at - started).total_seconds())
        cluster.pass_time(waits[-1] + TIMEOUT)
        assert asked(cluster) == 2
    assert waits[:5] == pytest.approx([60, 120, 240, 480, 960], abs=2)
    assert waits[-1] == pytest.approx(cluster.settings.room_retry_max_seconds, abs=2)
    assert cluster.status["workers"]["rescales"] == 1


def test_a_first_worker_without_a_node_takes_the_place_of_the_last() -> None:
    cluster = Cluster(places=2, workers=workers(2))
    del cluster.pods["medical-worker-0"]
    cluster.places = 1
    cluster.run()
    cluster.pass_time(TIMEOUT)
    assert asked(cluster) == 1
    assert cluster.pods["medical-worker-0"]["status"]["phase"] == "Running"


def test_below_the_least_number_it_waits_and_says_what_to_change() -> None:
    cluster = Cluster(places=1, workers=workers(3, least=2))
    cluster.pass_time(TIMEOUT)
    assert asked(cluster) == 3
    assert cluster.condition("WorkersScheduled") == ("False", "TooFewWorkers")
    assert cluster.condition("Ready") == ("False", "Unschedulable")
    assert "workers.resources.requests" in cluster.status["failure"]["hint"]
    cluster.places = 3
    cluster.run()
    assert cluster.condition("WorkersScheduled") == ("True", "AllScheduled")
    assert "failure" not in cluster.status


def test_pods_that_the_api_server_refuses_are_told_of() -> None:
    world = World(workers=workers(2)).prepared()
    job = world.children[JOB]["metadata"]["uid"]
    words = 'pods "medical-worker-0" is forbidden: exceeded quota: cpu'
    world.events = [{"involvedObject": {"uid": job}, "reason": "FailedCreatePod", "message": words}]
    world.settle()
    assert world.condition("Ready") == ("False", "PodsRefused")
    assert words in world.status["failure"]["message"]
    assert "runPolicy.priorityClassName" in world.status["failure"]["hint"]


@pytest.mark.parametrize(
    ("wanted", "limit_stays"),
    [pytest.param(4, False, id="more"), pytest.param(2, False, id="as many as there is room for")],
)
def test_another_wanted_number_is_tried_at_once(wanted: int, limit_stays: bool) -> None:
    cluster = Cluster(places=2, workers=workers(3))
    cluster.pass_time(TIMEOUT)
    cluster.edit(workers=workers(wanted))
    cluster.run()
    assert asked(cluster) == wanted
    assert ("limit" in room(cluster)) is limit_stays
    assert cluster.status["workers"]["lastRescaleReason"] == "Scaled"


def test_a_pause_forgets_what_was_found() -> None:
    cluster = Cluster(places=2, workers=workers(3))
    cluster.pass_time(TIMEOUT)
    cluster.edit(runPolicy={"suspend": True})
    cluster.settle()
    assert not room(cluster)
    assert not any(each["type"] == "WorkersScheduled" for each in cluster.status["conditions"])
    cluster.edit(runPolicy={"suspend": False})
    cluster.settle()
    assert asked(cluster) == 3


def test_the_next_attempt_starts_with_those_there_is_room_for() -> None:
    cluster = Cluster(places=2, workers=workers(3))
    cluster.settings = replace_settings(cluster, room_retry_seconds=600.0)
    cluster.pass_time(TIMEOUT)
    cluster.edit(runtime={"image": "trainer:2"})
    cluster.settle()
    assert (cluster.status["attempt"], asked(cluster)) == (2, 2)


def replace_settings(world: World, **changes: Any) -> Any:
    return world.settings.model_copy(update=changes)


@pytest.mark.parametrize(
    ("mode", "nodes", "says"),
    [
        pytest.param(
            "ReadWriteOnce",
            ["a", "a"],
            "on 1 node; they share one, as the claim is ReadWriteOnce",
            id="one must do",
        ),
        pytest.param(
            "ReadWriteMany",
            ["a", "b"],
            "on 2 nodes; they spread over nodes, as the claim is ReadWriteMany",
            id="several",
        ),
        pytest.param(
            "ReadWriteMany",
            ["a", "a"],
            "on 1 node; they may spread over more, as the claim is ReadWriteMany",
            id="only one has room",
        ),
    ],
)
def test_how_workers_are_placed_is_said(mode: str, nodes: list[str], says: str) -> None:
    cluster = Cluster(places=4, workers=workers(2), storage={"accessModes": [mode]})
    assert cluster.children[CLAIM]["spec"]["accessModes"] == [mode]
    for index, node in enumerate(nodes):
        cluster.pods[f"medical-worker-{index}"]["spec"]["nodeName"] = node
    cluster.live_for(10)
    assert cluster.message() == f"all workers have a node, {says}"


def test_more_are_asked_for_than_there_was_room_for_where_the_least_number_says_so() -> None:
    cluster = Cluster(places=1, workers=workers(3))
    cluster.pass_time(TIMEOUT)
    assert asked(cluster) == 1
    cluster.edit(workers=workers(3, least=2))
    cluster.settle()
    assert asked(cluster) == 2


def test_a_queue_asks_for_all_whatever_there_was_room_for() -> None:
    cluster = Cluster(places=2, workers=workers(3))
    cluster.pass_time(TIMEOUT)
    cluster.edit(runPolicy={"queueName": "team-a"})
    cluster.settle()
    assert (asked(cluster), cluster.status["attempt"]) == (3, 2)


GRACE = 600.0
STUCK = {
    "the last of three": (3, 1, ["medical-worker-2"], 2, 2),
    "the last two of four": (4, 2, ["medical-worker-2", "medical-worker-3"], 2, 2),
    "one in between, which the others need not make room for": (3, 2, ["medical-worker-1"], 3, 2),
    "one in between and the last": (4, 1, ["medical-worker-1", "medical-worker-3"], 3, 2),
}


@pytest.mark.parametrize(
    ("replicas", "least", "broken", "asks_for", "trains_with"), STUCK.values(), ids=STUCK.keys()
)
def test_workers_that_cannot_start_on_their_node_end_nothing_while_enough_can(
    replicas: int, least: int, broken: list[str], asks_for: int, trains_with: int
) -> None:
    cluster = Cluster(places=4, broken=broken, workers=workers(replicas, least))
    cluster.settings = replace_settings(cluster, stall_seconds=86_400.0)
    running = {name: pod["metadata"]["uid"] for name, pod in cluster.pods.items() if name not in broken}
    cluster.told(step=1, total_steps=1000)
    cluster.run()
    assert cluster.condition("WorkersScheduled") == ("False", "Waiting")
    assert f"{trains_with} of {replicas} workers have a node to run on" in cluster.message()
    assert "no such host" in cluster.message()
    assert "runtime.image" in cluster.message()
    cluster.pass_time(TIMEOUT)
    assert asked(cluster) == asks_for
    cluster.pass_time(GRACE + TIMEOUT)
    assert {name: cluster.pods[name]["metadata"]["uid"] for name in running} == running
    assert (cluster.phase, cluster.condition("Training")[0]) == ("Training", "True")
    assert "failure" not in cluster.status
    assert cluster.reconcile() == 0
    cluster.broken.clear()
    for name in broken:
        cluster.pods.pop(name, None)
    cluster.pass_time(cluster.settings.room_retry_max_seconds)
    assert asked(cluster) == replicas
    assert cluster.condition("WorkersScheduled") == ("True", "AllScheduled")


def test_how_many_train_without_those_that_cannot_start_is_said() -> None:
    broken = ["medical-worker-1", "medical-worker-3"]
    cluster = Cluster(places=4, broken=broken, workers=workers(4))
    cluster.pass_time(TIMEOUT)
    assert cluster.condition("WorkersScheduled") == ("False", "InsufficientResources")
    assert "training goes on with 2 of 4 workers" in cluster.message()


def test_others_that_stall_are_told_of_while_one_cannot_start() -> None:
    cluster = Cluster(places=2, broken=["medical-worker-1"], workers=workers(3))
    cluster.told(step=1, total_steps=1000)
    cluster.pass_time(cluster.settings.stall_seconds + 1)
    assert cluster.condition("Stalled") == ("True", "NoProgress")


TOO_FEW = {
    "fewer than the least number can": (3, 2, ["medical-worker-1", "medical-worker-2"]),
    "the one where all meet cannot": (3, 1, ["medical-worker-0"]),
    "nobody can": (1, 1, ["medical-worker-0"]),
}


@pytest.mark.parametrize(("replicas", "least", "broken"), TOO_FEW.values(), ids=TOO_FEW.keys())
def test_an_image_that_too_few_can_pull_is_told_at_once_and_final_after_its_grace(
    replicas: int, least: int, broken: list[str]
) -> None:
    cluster = Cluster(places=4, broken=broken, workers=workers(replicas, least))
    assert cluster.condition("Ready") == ("False", "ImagePullFailed")
    assert cluster.status["failure"]["retryable"]
    cluster.pass_time(GRACE - 1)
    assert cluster.phase != "Failed"
    cluster.pass_time(1)
    assert cluster.phase == "Failed"
    failure = cluster.status["failure"]
    assert (failure["reason"], failure["retryable"]) == ("ImagePullFailed", False)
    assert failure["message"].startswith("gave up after 600 s: ")


def test_a_worker_that_is_away_for_a_moment_is_not_given_up_with_the_one_that_cannot_start() -> None:
    cluster = Cluster(places=2, broken=["medical-worker-1"], workers=workers(3, least=2))
    cluster.pass_time(GRACE + TIMEOUT)
    cluster.places = 1
    del cluster.pods["medical-worker-2"]
    cluster.run()
    assert cluster.condition("Ready") == ("False", "ImagePullFailed")
    assert cluster.phase != "Failed"
    assert cluster.reconcile() == 0
    cluster.places = 2
    cluster.run()
    assert "failure" not in cluster.status


def test_a_volume_that_one_node_cannot_mount_keeps_the_others_from_nothing() -> None:
    cluster = Cluster(places=2, workers=workers(2))
    pod = cluster.pods["medical-worker-1"]
    pod["status"] = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}
    words = 'Multi-Attach error for volume "pvc-1"'
    about = {"uid": pod["metadata"]["uid"]}
    cluster.events = [{"involvedObject": about, "reason": "FailedAttachVolume", "message": words}]
    cluster.places = 1
    cluster.run()
    assert words in cluster.message()
    cluster.pass_time(TIMEOUT)
    assert asked(cluster) == 1
    assert "failure" not in cluster.status
