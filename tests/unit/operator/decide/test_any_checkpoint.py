"""Checkpoints come and go, volumes are lost, reports come late: none is named that is known to be gone."""

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmfinetune_operator.constants import ANNOTATION_ATTEMPT
from llmfinetune_operator.resources import names
from tests.unit.operator.decide.histories import histories
from tests.unit.operator.decide.world import CLAIM, JOB, PREPARE, UID, World

WAIT = 10.0
"""The longest between two tries, seconds."""
TRAINING = World(runPolicy={"maxRestarts": 100}).training()
TRAINING.settings = TRAINING.settings.model_copy(update={"retry_delay_max_seconds": WAIT})


class Life:
    """A fine-tune and the volumes that it has had. The model knows what lies on each."""

    def __init__(self) -> None:
        self.world = copy.deepcopy(TRAINING)
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

    def goes_on(self) -> None:
        """The cluster gives all that is waited for, up to workers that run."""
        self.world.bind()
        self.world.wait(1)
        if PREPARE in self.world.children and not self.world.children[PREPARE]["status"]:
            self.world.finish_job(PREPARE, "Complete")
        self.world.live_for(WAIT + 1)
        if not self.trains:
            self.world.start_workers()
            self.world.settle()

    def saves(self, *, seen: bool = True) -> None:
        if not self.trains:
            self.goes_on()
        step = max(self.volume, default=0) + 1
        self.volume.add(step)
        self.nameable.add(step)
        self.world.checkpoint(step, attempt=names.attempt_id(UID, self.attempt))
        if seen:
            self.world.reconcile()

    def saves_unseen(self) -> None:
        self.saves(seen=False)

    def starts(self) -> None:
        """A training process begins and tells what it finds."""
        if not self.trains:
            self.goes_on()
        newest = max(self.volume, default=None)
        self.world.went_on_from(newest, attempt=names.attempt_id(UID, self.attempt))
        self.world.settle()
        self.nameable = set() if newest is None else {newest}
        assert self.world.status.get("checkpoint", {}).get("step") == newest

    def newest_checkpoint_is_damaged(self) -> None:
        self.volume.discard(max(self.volume, default=0))

    def checkpoints_are_removed(self) -> None:
        self.volume.clear()

    def volume_is_lost(self) -> None:
        self.world.wait(1)  # times of objects are told in seconds
        self.world.lose(CLAIM)
        self.world.settle()
        self.nameable = set()

    def next_attempt_begins(self) -> None:
        """It is counted first; workers of the one before save once more as they leave."""
        image = f"a:{self.world.fine_tune['metadata']['generation']}"
        self.world.edit(runtime={"image": image})
        self.world.reconcile()
        if self.trains:
            self.saves()
        self.world.settle()

    def earlier_attempt_reports_late(self) -> None:
        """What it says was true before the present one began, which has reported, if to an operator before
        this one, and will again."""
        told = self.world.report
        present = names.attempt_id(UID, self.attempt) if self.trains else None
        if told is None or told.report.attempt != present or self.attempt == 1:
            return
        for known in (told, None):
            self.world.report = known
            self.world.checkpoint(99, attempt=names.attempt_id(UID, self.attempt - 1))
            self.world.reconcile()
            self.holds()
        self.world.report = told

    def job_fails(self) -> None:
        if self.trains:
            self.world.pods = {name: pod for name, pod in self.world.pods.items() if "prepare" in name}
            self.world.finish_job(JOB, "Failed")
            self.world.settle()

    def job_is_deleted(self) -> None:
        if JOB in self.world.children:
            self.world.lose(JOB)

    def operator_starts_anew(self) -> None:
        self.world.report = None
        self.world.last_status_write = None

    def holds(self) -> None:
        status: dict[str, Any] = self.world.decide().status
        checkpoint = status.get("checkpoint")
        assert checkpoint is None or checkpoint["step"] in self.nameable
        at_failure = status["workers"].get("checkpointAtFailure", 0)
        assert at_failure <= max(self.nameable, default=0), "the wait would not begin anew with the next one"


EVENTS: list[Callable[[Life], None]] = [
    Life.goes_on,
    *[Life.saves] * 3,
    Life.saves_unseen,
    *[Life.starts] * 2,
    Life.newest_checkpoint_is_damaged,
    Life.checkpoints_are_removed,
    Life.volume_is_lost,
    Life.next_attempt_begins,
    Life.earlier_attempt_reports_late,
    Life.job_fails,
    Life.job_is_deleted,
    Life.operator_starts_anew,
]


@histories(40)
@given(events=st.lists(st.sampled_from(EVENTS), min_size=20, max_size=20))
def test_no_checkpoint_is_named_that_is_known_to_be_gone(events: list[Callable[[Life], None]]) -> None:
    life = Life()
    for event in events:
        event(life)
        life.holds()
