"""Checkpoints come and go, volumes are lost, reports come late: none is named that is known to be gone."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmfinetune_operator.constants import ANNOTATION_ATTEMPT
from llmfinetune_operator.resources import names
from tests.unit.operator.decide.world import CLAIM, JOB, PREPARE, START, UID, World

WAIT = 10.0
"""The longest between two tries, seconds."""


class AnyCheckpoint(RuleBasedStateMachine):
    """Trainers that say what they find on a volume to which anything happens."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(runPolicy={"maxRestarts": 100}).training()
        self.world.settings = self.world.settings.model_copy(update={"retry_delay_max_seconds": WAIT})
        self.volumes: dict[str, set[int]] = {}
        """Steps of the checkpoints on every volume that there was, by its claim."""
        self.nameable: set[int] = set()
        """Steps that were told of since the operator last learnt which checkpoints there are."""

    @property
    def volume(self) -> set[int]:
        return self.volumes.setdefault(self.world.children[CLAIM]["metadata"]["uid"], set())

    @property
    def trains(self) -> bool:
        return JOB in self.world.children and "medical-worker-0" in self.world.pods

    @property
    def attempt(self) -> int:
        """The attempt that the workers are of."""
        return int(self.world.children[JOB]["metadata"]["annotations"][ANNOTATION_ATTEMPT])

    @precondition(lambda self: self.trains)
    @rule(step=st.integers(1, 10), seen=st.booleans())
    def trainer_saves(self, step: int, seen: bool) -> None:
        self.volume.add(step)
        self.nameable.add(step)
        self.world.checkpoint(step, attempt=names.attempt_id(UID, self.attempt))
        if seen:
            self.world.reconcile()

    @precondition(lambda self: self.trains)
    @rule()
    def trainer_starts(self) -> None:
        newest = max(self.volume, default=None)
        self.world.went_on_from(newest, attempt=names.attempt_id(UID, self.attempt))
        self.world.settle()
        self.nameable = set() if newest is None else {newest}
        assert self.world.status.get("checkpoint", {}).get("step") == newest

    @rule()
    def newest_checkpoint_is_damaged(self) -> None:
        self.volume.discard(max(self.volume, default=0))

    @rule()
    def checkpoints_are_removed(self) -> None:
        self.volume.clear()

    @rule()
    def volume_is_lost(self) -> None:
        self.world.wait(1)  # times of objects are told in seconds
        self.world.lose(CLAIM)
        self.world.settle()
        self.nameable = set()

    @rule()
    def preparation_ends_and_workers_start(self) -> None:
        self.world.bind()
        self.world.wait(1)
        if PREPARE in self.world.children:
            self.world.finish_job(PREPARE, "Complete")
        self.world.live_for(WAIT + 1)
        if JOB in self.world.children and not self.trains:
            self.world.start_workers()
            self.world.settle()

    @rule(image=st.sampled_from(["a:1", "b:1"]), saves=st.booleans())
    def user_changes_the_image(self, image: str, saves: bool) -> None:
        """The next attempt is counted first; workers of the one before may save once more as they leave."""
        self.world.edit(runtime={"image": image})
        self.world.reconcile()
        if saves and self.trains:
            self.trainer_saves(max(self.volume, default=0) + 1, seen=True)
        self.world.settle()

    @precondition(lambda self: self.trains and self.attempt > 1)
    @rule(step=st.integers(1, 10), is_known=st.booleans())
    def a_report_of_the_attempt_before_comes_late(self, step: int, is_known: bool) -> None:
        if not is_known:
            self.operator_starts_anew()
        self.world.checkpoint(step, attempt=names.attempt_id(UID, self.attempt - 1))
        self.world.reconcile()
        if not is_known:
            self.world.report = None  # its place is taken by the next one of the present attempt

    @precondition(lambda self: self.trains)
    @rule()
    def job_fails(self) -> None:
        self.world.pods = {name: pod for name, pod in self.world.pods.items() if "prepare" in name}
        self.world.finish_job(JOB, "Failed")
        self.world.settle()

    @precondition(lambda self: JOB in self.world.children)
    @rule()
    def somebody_deletes_the_job(self) -> None:
        self.world.lose(JOB)

    @rule()
    def operator_starts_anew(self) -> None:
        self.world.report = None
        self.world.last_status_write = None
        self.world.watching_since = self.world.now

    @rule()
    def clock_is_set_back(self) -> None:
        self.world.now = START

    @invariant()
    def no_checkpoint_is_named_that_is_known_to_be_gone(self) -> None:
        checkpoint = self.world.decide().status.get("checkpoint")
        assert checkpoint is None or checkpoint["step"] in self.nameable

    @invariant()
    def failures_in_a_row_end_with_the_next_checkpoint_beyond_those_there_are(self) -> None:
        workers = self.world.decide().status["workers"]
        assert workers.get("checkpointAtFailure", 0) <= max(self.nameable, default=0)


AnyCheckpoint.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnyCheckpoint = AnyCheckpoint.TestCase
