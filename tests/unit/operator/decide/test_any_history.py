"""Whatever happens in whatever order, with crashes between any two writes, some things always hold."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.operator.decide.world import CLAIM, JOB, PREPARE, World

CODES = st.sampled_from([0, 2, 4, 137, 138, 143])


class History(RuleBasedStateMachine):
    """A fine-tune, a cluster and a user who do anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(runPolicy={"maxRestarts": 3})
        self.world.reconcile()
        self.end: str | None = None
        self.attempts = 0

    @initialize(start=st.sampled_from(["applied", "prepared", "training", "training"]))
    def begins(self, start: str) -> None:
        if start == "prepared":
            self.world.prepared()
        if start == "training":
            self.world.training()

    @rule()
    def reconcile(self) -> None:
        self.world.reconcile()

    @rule(writes=st.integers(0, 4))
    def crash_after_some_writes(self, writes: int) -> None:
        decision = self.world.decide()
        for obj in decision.apply[:writes]:
            self.world._apply(obj)
        if writes > len(decision.apply):
            for deletion in decision.delete:
                self.world._delete(deletion.ref, deletion.uid)
        self.world.last_status_write = None
        self.world.report = None

    @rule(seconds=st.sampled_from([1, 30, 400]), seen=st.booleans())
    def time_passes(self, seconds: int, seen: bool) -> None:
        self.world.wait(seconds)
        if seen:
            self.world.settle()

    @precondition(lambda self: CLAIM in self.world.children)
    @rule()
    def volume_comes(self) -> None:
        self.world.bind()

    @precondition(lambda self: PREPARE in self.world.children)
    @rule(phase=st.sampled_from(["Pending", "Running"]))
    def prepare_pod(self, phase: str) -> None:
        self.world.pod("medical-prepare-x", PREPARE, phase)

    @precondition(lambda self: PREPARE in self.world.children and not self.world.children[PREPARE]["status"])
    @rule(succeeded=st.sampled_from([True, True, True, False]))
    def preparation_ends(self, succeeded: bool) -> None:
        self.world.finish_job(PREPARE, "Complete" if succeeded else "Failed")

    @precondition(lambda self: self.job_works)
    @rule()
    def workers_start(self) -> None:
        if not self.world.children[JOB]["spec"]["runPolicy"]["suspend"]:
            self.world.start_workers()

    @precondition(lambda self: any("worker" in name for name in self.world.pods))
    @rule(code=CODES, seen=st.booleans(), data=st.data())
    def worker_ends(self, code: int, seen: bool, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(n for n in self.world.pods if "worker" in n)))
        self.world.end(name, code)
        if seen:
            self.world.settle()

    @precondition(lambda self: self.world.pods)
    @rule(data=st.data())
    def pod_vanishes(self, data: st.DataObject) -> None:
        del self.world.pods[data.draw(st.sampled_from(sorted(self.world.pods)))]

    @precondition(lambda self: self.job_works)
    @rule(kind=st.sampled_from(["Succeeded", "Failed"]), told=st.booleans(), seen=st.booleans())
    def job_ends(self, kind: str, told: bool, seen: bool) -> None:
        if told and self.world.status.get("attempt"):
            self.world.told(step=10, total_steps=10, result=self.world.result())
        self.world.finish_job(JOB, kind)
        if seen:
            self.world.settle()

    @precondition(lambda self: self.world.status.get("attempt"))
    @rule(step=st.integers(0, 10), done=st.booleans())
    def trainer_reports(self, step: int, done: bool) -> None:
        result = self.world.result() if done else None
        self.world.told(step=step, total_steps=10, loss=2.0, result=result)

    @rule(replicas=st.integers(1, 4))
    def user_scales(self, replicas: int) -> None:
        self.world.edit(workers={"replicas": replicas, "minReplicas": 1, "maxReplicas": 4})

    @rule(suspend=st.booleans())
    def user_suspends(self, suspend: bool) -> None:
        self.world.edit(runPolicy={"suspend": suspend, "maxRestarts": 3})

    @rule(image=st.sampled_from(["a:1", "b:1"]))
    def user_changes_the_image(self, image: str) -> None:
        self.world.edit(runtime={"image": image})

    @rule(data=st.data())
    def somebody_deletes_a_child(self, data: st.DataObject) -> None:
        if self.world.children:
            self.world.lose(data.draw(st.sampled_from(sorted(self.world.children))))

    @property
    def job_works(self) -> bool:
        job = self.world.children.get(JOB)
        return job is not None and not any(
            c["type"] in {"Succeeded", "Failed"} for c in job["status"].get("conditions", ())
        )

    @invariant()
    def terminal_states_stay(self) -> None:
        if self.end is not None:
            assert self.world.phase == self.end
        if self.world.phase in {"Succeeded", "Failed"}:
            self.end = self.world.phase

    @invariant()
    def attempts_never_go_back(self) -> None:
        attempt = self.world.status.get("attempt", 0)
        assert attempt >= self.attempts
        self.attempts = attempt

    @invariant()
    def success_has_its_result(self) -> None:
        assert (self.world.phase == "Succeeded") == ("output" in self.world.status)

    @invariant()
    def a_job_is_only_made_beside_no_older_pods(self) -> None:
        kinds = [obj["kind"] for obj in self.world.decide().apply]
        if "PyTorchJob" in kinds and JOB not in self.world.children:
            assert not [name for name in self.world.pods if "worker" in name]

    @invariant()
    def it_comes_to_rest(self) -> None:
        """Reconciling over and over, with nothing else going on, stops to write and leaves an end alone."""
        saved = self.world.snapshot()
        self.world.settle()
        assert self.end in {None, self.world.phase}
        self.world.restore(saved)

    @invariant()
    def nothing_is_to_be_looked_at_in_the_past(self) -> None:
        wake_at = self.world.decide().wake_at
        assert wake_at is None or wake_at >= self.world.now - timedelta(seconds=1)


History.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestAnyHistory = History.TestCase
