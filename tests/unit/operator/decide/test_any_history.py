"""Whatever happens in whatever order, with crashes between any two writes, some things always hold.

The model keeps count of what it did by itself, so that what the operator remembers can be held against it.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmfinetune_operator.constants import ANNOTATION_ATTEMPT
from llmfinetune_operator.decide import decide
from llmfinetune_operator.observed import ChildRef, Observed
from llmfinetune_operator.policies.activity import LONGEST_GAP
from llmfinetune_operator.resources import names
from llmfinetune_trainer.config.messages import Result, TerminationMessage
from tests.unit.operator.decide.histories import histories
from tests.unit.operator.decide.world import CLAIM, JOB, PREPARE, START, UID, World

MAX_RESTARTS = 2
POLICY = {"maxRestarts": MAX_RESTARTS}
LIMITS = [{}, {}, {"activeDeadline": "2h"}, {"ttlAfterFinished": "5m"}]
CODES = st.sampled_from([0, 2, 137, 137, 138, 143])
WORDS = [
    "PreemptionByScheduler",
    "EvictionByEvictionAPI",
    "DeletionByPodGC",
    "Evicted",
    "Terminated",
    "OutOfcpu",
]
STALL = 900
FIRST = names.attempt_id(UID, 1)
FOREIGN = Result(
    attempt="another-uid-1", adapter="output/adapter", sha256=f"sha256:{'f' * 64}", steps=10, loss=0.1
)


class LingeringWorld(World):
    """A cluster whose pods outlive their job for a while, as those of a background deletion do."""

    def lose(self, ref: ChildRef) -> None:
        self.children.pop(ref)

    def collect_garbage(self) -> None:
        owners = {child["metadata"]["uid"] for child in self.children.values()}
        self.pods = {name: pod for name, pod in self.pods.items() if pod["owner"] in owners}

    @property
    def workers(self) -> list[str]:
        return sorted(name for name in self.pods if "worker" in name)


class History(RuleBasedStateMachine):
    """A fine-tune, a cluster and a user who do anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = LingeringWorld(runPolicy=POLICY)
        self.policy: dict[str, Any] = POLICY
        self.world.reconcile()
        self.end: dict[str, Any] | None = None
        self.attempts = 0
        self.incidents = 0
        """How often workers were lost or the job ended: no count of the operator's may be above it."""
        self.faults = 0
        """How many of these were the workers' own."""
        self.volumes: dict[str, set[int]] = {}
        """Steps of the checkpoints on each volume that there ever was, by its claim."""
        self.nameable: set[int] = set()
        """Checkpoints that were told of since the operator last learnt which there are."""
        self.seen: Observed | None = None
        self.jumps = 0
        self.jumped = timedelta()

    @property
    def elapsed(self) -> timedelta:
        """Time that really passed."""
        return self.world.now - START - self.jumped

    @initialize(
        start=st.sampled_from(["applied", "prepared", *["training"] * 6]),
        limits=st.sampled_from(LIMITS),
        data=st.data(),
    )
    def begins(self, start: str, limits: dict[str, Any], data: st.DataObject) -> None:
        """Most histories begin with something that chance alone would seldom come to."""
        self.policy = POLICY | limits
        self.world.edit(runPolicy=self.policy)
        if start == "prepared":
            self.world.prepared()
        if start == "training":
            self.world.training()
            data.draw(st.sampled_from(self.first_events))()

    @property
    def first_events(self) -> list[Callable[[], None]]:
        return [
            lambda: self.job_fails_again_and_again(MAX_RESTARTS + 2),
            lambda: self.worker_crashes_again_and_again(MAX_RESTARTS + 2),
            lambda: self.job_succeeds("its own", 60),
            lambda: self.job_succeeds("a foreign one", 60),
            lambda: self.job_succeeds("nothing", 60),
            self.worker_stays_away,
            self.workers_run_out_of_memory_again_and_again,
            self.workers_are_preempted_again_and_again,
            self.workers_get_nowhere,
            lambda: self.checkpoints_are_lost("the newest"),
            lambda: self.checkpoints_are_lost("all"),
            lambda: self.checkpoints_are_lost("the volume"),
            lambda: self.world.lose(JOB),
            lambda: None,
        ]

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
                self.world._delete(deletion.ref, deletion.uid, at_once=deletion.at_once)
        self.world.last_status_write = None
        self.world.watching_since = self.world.now
        self.world.report = None

    @rule()
    def another_operator_looks(self) -> None:
        """It acts later on what it sees now, as does one whose watches are behind."""
        self.seen = self.world.observed()

    @precondition(lambda self: self.seen is not None)
    @rule()
    def another_operator_acts(self) -> None:
        """The API server takes what does not collide: new objects where there are none, deletions of the very
        object, a status of the very version."""
        assert self.seen is not None
        decision = decide(self.seen, self.world.settings, self.world.now)
        for obj in decision.apply:
            ref = ChildRef(obj["apiVersion"], obj["kind"], obj["metadata"]["name"])
            if (ref in self.seen.children) == (ref in self.world.children):
                self.world._apply(obj)
        for deletion in decision.delete:
            live = self.world.children.get(deletion.ref)
            if live is not None and live["metadata"]["uid"] == deletion.uid:
                self.world.lose(deletion.ref)
        if self.seen.fine_tune == self.world.fine_tune:
            self.world._write_status(decision)
            if "checkpoint" in decision.status:
                self.nameable.add(decision.status["checkpoint"]["step"])

    @rule()
    def a_second_reconcile_writes_nothing(self) -> None:
        self.world.settle()
        assert self.world.reconcile() == 0

    @rule(seconds=st.sampled_from([1, 31, 400]))
    def time_passes(self, seconds: int) -> None:
        self.world.live_for(seconds)

    @rule(jump=st.sampled_from([timedelta(days=2), timedelta(hours=-3), timedelta(minutes=12)]))
    def clock_jumps(self, jump: timedelta) -> None:
        ended = self.world.phase in {"Succeeded", "Failed"}
        self.world.now += jump
        self.jumped += jump
        self.jumps += 1
        self.world.settle()
        deadline = self.world.status.get("failure", {}).get("category") == "Deadline"
        assert ended or not deadline or jump <= LONGEST_GAP

    @rule()
    def pods_of_deleted_jobs_go(self) -> None:
        self.world.collect_garbage()

    @precondition(lambda self: CLAIM in self.world.children)
    @rule()
    def volume_comes(self) -> None:
        self.world.bind()

    @precondition(lambda self: PREPARE in self.world.children and not self.world.children[PREPARE]["status"])
    @rule(succeeded=st.sampled_from([True, True, True, False]))
    def preparation_ends(self, succeeded: bool) -> None:
        self.world.finish_job(PREPARE, "Complete" if succeeded else "Failed")

    @precondition(lambda self: self.job_works and not self.world.workers)
    @rule()
    def workers_start(self) -> None:
        if not self.world.children[JOB]["spec"]["runPolicy"]["suspend"]:
            self.world.start_workers()
            self.world.settle()

    @precondition(lambda self: self.world.workers)
    @rule(code=CODES, seen=st.booleans(), data=st.data())
    def worker_ends(self, code: int, seen: bool, data: st.DataObject) -> None:
        self.world.end(data.draw(st.sampled_from(self.world.workers)), code)
        self.incidents += 1
        self.faults += code != 143
        if seen:
            self.world.settle()

    @precondition(lambda self: self.world.workers)
    @rule(word=st.sampled_from(WORDS), code=st.sampled_from([None, 1, 137, 143]), data=st.data())
    def worker_is_disrupted(self, word: str, code: int | None, data: st.DataObject) -> None:
        self.world.disrupt(data.draw(st.sampled_from(self.world.workers)), word, code)
        self.incidents += 1
        self.world.settle()

    @precondition(lambda self: self.world.workers)
    @rule(data=st.data(), replaced=st.booleans())
    def worker_vanishes(self, data: st.DataObject, replaced: bool) -> None:
        name = data.draw(st.sampled_from(self.world.workers))
        pod = self.world.pods.pop(name)
        if pod["status"]["phase"] == "Failed":
            self.world.failed_pods.append(pod)
        self.incidents += 1
        if replaced and self.job_works:
            self.world.pod(name, JOB)
            self.incidents += 1

    @precondition(lambda self: self.job_works)
    @rule(times=st.integers(1, MAX_RESTARTS + 2))
    def job_fails_again_and_again(self, times: int) -> None:
        self.world.settle()  # a change of the spec that waits is an attempt of its own
        first = self.world.status["attempt"]
        for _ in range(times):
            if self.job_works:
                self.world.pods = {}
                self.world.finish_job(JOB, "Failed")
                self.incidents += 1
                self.faults += 1
                self.come_to_rest()
        assert self.world.status["attempt"] <= first + MAX_RESTARTS

    @precondition(lambda self: self.job_works and self.world.workers)
    @rule(times=st.integers(1, MAX_RESTARTS + 2))
    def worker_crashes_again_and_again(self, times: int) -> None:
        for _ in range(times):
            if self.job_works and self.world.workers:
                name = self.world.workers[0]
                self.world.end(name, 137)
                self.incidents += 1
                self.faults += 1
                self.come_to_rest()
                if self.job_works:
                    self.world.pod(name, JOB)
                    self.world.settle()

    @precondition(lambda self: self.job_works and self.world.workers)
    @rule()
    def workers_run_out_of_memory_again_and_again(self) -> None:
        for _ in range(MAX_RESTARTS + 2):
            if self.job_works and self.world.workers:
                self.world.end(self.world.workers[0], 137, reason="OOMKilled")
                self.incidents += 1
                self.faults += 1
                self.come_to_rest()
                if self.job_works and not self.world.workers:
                    self.world.start_workers()
                    self.world.settle()

    @precondition(lambda self: self.job_works and self.world.workers)
    @rule(word=st.sampled_from(WORDS))
    def workers_are_preempted_again_and_again(self, word: str = "PreemptionByScheduler") -> None:
        self.world.settle()
        before = self.world.status["workers"]["failures"]
        for _ in range(MAX_RESTARTS + 2):
            if self.job_works and self.world.workers:
                name = self.world.workers[0]
                self.world.disrupt(name, word)
                self.incidents += 1
                self.world.settle()
                if self.job_works:
                    self.world.replace(name)
                    self.world.settle()
        assert self.world.status["workers"]["failures"] == before

    @precondition(lambda self: self.job_works and self.world.workers)
    @rule()
    def workers_get_nowhere(self) -> None:
        self.trainer_reports(step=3, phase="Training")
        self.world.live_for(2 * STALL + 100)

    @precondition(lambda self: self.world.workers)
    @rule()
    def worker_stays_away(self) -> None:
        del self.world.pods[self.world.workers[0]]
        self.incidents += 1
        self.come_to_rest()

    def come_to_rest(self) -> None:
        """Go on long enough for every wait, and for what was counted to be counted again."""
        for _ in range(3):
            self.world.settle()
            self.world.wait(400)
            self.world.collect_garbage()
        self.world.settle()

    @precondition(lambda self: self.job_works)
    @rule(told=st.sampled_from(["nothing", "its own", "a foreign one"]), seconds=st.sampled_from([1, 60]))
    def job_succeeds(self, told: str, seconds: int) -> None:
        if told == "its own" and self.world.status.get("attempt"):
            self.world.told(step=10, total_steps=10, result=self.world.result())
        if told == "a foreign one":
            for name in self.world.workers:
                message = TerminationMessage(attempt=FOREIGN.attempt, result=FOREIGN)
                self.world.end(name, 0, message.model_dump_json(by_alias=True))
        self.world.finish_job(JOB, "Succeeded")
        self.incidents += 1
        self.faults += 1
        self.world.settle()
        self.world.wait(seconds)

    @precondition(lambda self: self.trains)
    @rule(step=st.integers(0, 10), phase=st.sampled_from(["Training", "Evaluating"]))
    def trainer_reports(self, step: int, phase: str) -> None:
        self.world.told(step=step, total_steps=10, loss=2.0, phase=phase, attempt=self.present_attempt)

    @precondition(lambda self: self.trains)
    @rule(step=st.integers(1, 10), seen=st.booleans())
    def trainer_saves(self, step: int, seen: bool) -> None:
        self.volume.add(step)
        self.nameable.add(step)
        self.world.checkpoint(step, attempt=self.present_attempt)
        if seen:
            self.world.reconcile()

    @precondition(lambda self: self.trains)
    @rule()
    def trainer_starts(self) -> None:
        newest = max(self.volume, default=None)
        self.world.went_on_from(newest, attempt=self.present_attempt)
        self.world.settle()
        self.nameable = set() if newest is None else {newest}

    @precondition(lambda self: CLAIM in self.world.children and self.volume)
    @rule(all_of_them=st.booleans())
    def checkpoints_are_damaged(self, all_of_them: bool) -> None:
        self.volume.intersection_update(set() if all_of_them else sorted(self.volume)[:-1])

    @precondition(lambda self: CLAIM in self.world.children)
    @rule()
    def volume_is_lost(self) -> None:
        self.world.wait(1)  # times of objects are told in seconds
        self.world.lose(CLAIM)
        self.world.settle()
        self.nameable = set()

    @precondition(lambda self: self.trains)
    @rule(lost=st.sampled_from(["the newest", "all", "the volume"]))
    def checkpoints_are_lost(self, lost: str) -> None:
        for step in (3, 6):
            if self.trains:
                self.trainer_saves(step, seen=True)
        if lost == "the volume":
            self.volume_is_lost()
        elif self.trains:
            self.checkpoints_are_damaged(all_of_them=lost == "all")
            self.trainer_starts()

    @precondition(lambda self: self.trains and FIRST != self.present_attempt == self.reported_attempt)
    @rule(step=st.integers(1, 10))
    def a_report_of_an_earlier_attempt_comes_late(self, step: int) -> None:
        self.world.checkpoint(step, attempt=FIRST)

    @precondition(lambda self: self.world.report is not None)
    @rule()
    def a_report_is_lost(self) -> None:
        self.world.report = None

    @rule(replicas=st.integers(1, 4))
    def user_scales(self, replicas: int) -> None:
        self.world.edit(workers={"replicas": replicas, "minReplicas": 1, "maxReplicas": 4})

    @rule(suspend=st.booleans())
    def user_suspends(self, suspend: bool) -> None:
        self.world.edit(runPolicy={"suspend": suspend, **self.policy})

    @rule(image=st.sampled_from(["a:1", "b:1"]))
    def user_changes_the_image(self, image: str) -> None:
        self.world.edit(runtime={"image": image})

    @precondition(lambda self: self.world.children)
    @rule(data=st.data())
    def somebody_deletes_a_child(self, data: st.DataObject) -> None:
        self.world.lose(data.draw(st.sampled_from(sorted(self.world.children))))

    @property
    def volume(self) -> set[int]:
        return self.volumes.setdefault(self.world.children[CLAIM]["metadata"]["uid"], set())

    @property
    def present_attempt(self) -> str:
        attempt = self.world.children[JOB]["metadata"]["annotations"][ANNOTATION_ATTEMPT]
        return names.attempt_id(UID, int(attempt))

    @property
    def reported_attempt(self) -> str:
        return self.world.report.report.attempt if self.world.report else ""

    @property
    def trains(self) -> bool:
        has_begun = bool(self.world.status.get("attempt")) and CLAIM in self.world.children
        return self.job_works and has_begun and bool(self.world.workers)

    @property
    def job_works(self) -> bool:
        job = self.world.children.get(JOB)
        return job is not None and not any(
            c["type"] in {"Succeeded", "Failed"} for c in job["status"].get("conditions", ())
        )

    @invariant()
    def an_end_stays_and_nothing_is_made_after_it(self) -> None:
        status = {name: value for name, value in self.world.status.items() if name != "observedGeneration"}
        if self.end is not None:
            assert status == self.end
            made = [obj["kind"] for obj in self.world.decide().apply]
            assert not {"Job", "PyTorchJob"} & set(made)
        elif self.world.phase in {"Succeeded", "Failed"}:
            self.end = status

    @invariant()
    def attempts_never_go_back_and_the_job_is_never_ahead(self) -> None:
        attempt = self.world.status.get("attempt", 0)
        assert attempt >= self.attempts
        self.attempts = attempt
        job = self.world.children.get(JOB)
        if job is not None:
            assert int(job["metadata"]["annotations"][ANNOTATION_ATTEMPT]) <= max(attempt, 1)

    @invariant()
    def success_has_the_result_of_this_fine_tune(self) -> None:
        output = self.world.status.get("output")
        assert (self.world.phase == "Succeeded") == (output is not None)
        assert output is None or output["sha256"] != FOREIGN.sha256

    @invariant()
    def a_job_is_only_made_beside_no_older_pods(self) -> None:
        if JOB not in self.world.children and self.world.workers:
            assert "PyTorchJob" not in [obj["kind"] for obj in self.world.decide().apply]

    @invariant()
    def what_failed_too_often_is_given_up(self) -> None:
        workers = self.world.status.get("workers", {})
        if self.world.phase != "Failed":
            assert workers.get("failures", 0) <= MAX_RESTARTS

    @invariant()
    def no_loss_is_counted_twice(self) -> None:
        workers = self.world.status.get("workers", {})
        stalls = self.elapsed // timedelta(seconds=2 * STALL) + self.jumps
        assert workers.get("failures", 0) <= workers.get("restarts", 0) <= self.incidents + stalls

    @invariant()
    def what_the_cluster_does_is_nobodys_failure(self) -> None:
        stalls = self.elapsed // timedelta(seconds=2 * STALL) + self.jumps
        assert self.world.status.get("workers", {}).get("failures", 0) <= self.faults + stalls

    @invariant()
    def no_checkpoint_is_named_that_is_known_to_be_gone(self) -> None:
        if self.world.phase not in {"Succeeded", "Failed"}:
            checkpoint = self.world.decide().status.get("checkpoint")
            assert checkpoint is None or checkpoint["step"] in self.nameable

    @invariant()
    def remedies_are_few_and_each_halves(self) -> None:
        remedies = self.world.status.get("remedies", [])
        sizes = [2048, *(remedy["microBatchTokens"] for remedy in remedies)]
        assert sizes == [2048, 1024, 512][: len(sizes)]

    @invariant()
    def no_time_counts_that_did_not_pass(self) -> None:
        most = self.elapsed + self.jumps * LONGEST_GAP
        assert self.world.status.get("activeSeconds", 0) <= most.total_seconds()

    @invariant()
    def nothing_is_to_be_looked_at_in_the_past(self) -> None:
        wake_at = self.world.decide().wake_at
        assert wake_at is None or wake_at >= self.world.now - timedelta(seconds=1)

    def teardown(self) -> None:
        """Reconciling over and over, with nothing else going on, stops to write."""
        self.world.settle()
        self.an_end_stays_and_nothing_is_made_after_it()


History.TestCase.settings = histories(40, steps=25)
TestAnyHistory = History.TestCase
