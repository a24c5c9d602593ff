"""Room that comes and goes, users who scale, operators that crash: some things always hold."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.operator.decide.histories import histories
from tests.unit.operator.decide.test_room import TIMEOUT, Cluster, asked, room, workers
from tests.unit.operator.decide.world import JOB


class AnyRoom(RuleBasedStateMachine):
    """A cluster whose free places change at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.least = 1
        self.cluster = Cluster(places=2, workers=workers(2))

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.fine_tune["spec"]["workers"]
        return found

    @rule(places=st.integers(0, 4))
    def places_come(self, places: int) -> None:
        self.cluster.places = max(places, self.running)

    @rule()
    def a_node_goes(self) -> None:
        self.cluster.places = 0
        for name in [name for name in self.cluster.pods if "worker" in name]:
            del self.cluster.pods[name]

    @rule(seconds=st.sampled_from([5.0, TIMEOUT, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.cluster.pass_time(seconds)

    @rule(replicas=st.integers(1, 4))
    def user_scales(self, replicas: int) -> None:
        self.cluster.edit(workers=workers(replicas))
        self.cluster.run()

    @rule()
    def operator_dies_before_it_writes_the_status(self) -> None:
        for obj in self.cluster.decide().apply:
            self.cluster._apply(obj)
        self.cluster.last_status_write = None

    @property
    def running(self) -> int:
        pods = [pod for name, pod in self.cluster.pods.items() if "worker" in name]
        return sum(pod["status"]["phase"] == "Running" for pod in pods)

    @invariant()
    def the_number_asked_for_is_between_the_least_and_the_wanted(self) -> None:
        if JOB in self.cluster.children:
            self.cluster.run()
            assert self.spec["minReplicas"] <= asked(self.cluster) <= self.spec["replicas"]

    @invariant()
    def the_condition_tells_whether_all_run(self) -> None:
        self.cluster.run()
        all_run = self.running == self.spec["replicas"]
        assert (self.cluster.condition("WorkersScheduled")[0] == "True") is all_run

    @invariant()
    def a_limit_has_its_reason_and_a_time_at_which_it_is_tried_again(self) -> None:
        known = room(self.cluster)
        assert ("limit" in known) == ("retryTime" in known) == bool(known.get("message"))

    def teardown(self) -> None:
        """With room for all and time enough, all that are wanted run, and nothing is remembered."""
        self.cluster.places = 4
        self.cluster.pass_time(2 * self.cluster.settings.room_retry_max_seconds)
        assert self.running == asked(self.cluster) == self.spec["replicas"]
        assert not room(self.cluster)
        assert self.cluster.reconcile() == 0


AnyRoom.TestCase.settings = histories(8, steps=12)
TestAnyRoom = AnyRoom.TestCase
