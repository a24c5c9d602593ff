"""Gather, decide, act, around a decision that each test makes up."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.decision import Decision, Deletion, EventToPost
from llmfinetune_operator.errors import ApiError, ConflictError, NotFoundError, RefusedError, UnavailableError
from llmfinetune_operator.gather import WARNINGS_FIRST_SECONDS, WARNINGS_MOST_SECONDS
from llmfinetune_operator.observed import ChildRef, Observed
from llmfinetune_operator.progress.authority import new_authority
from llmfinetune_operator.progress.reports import Reports
from llmfinetune_operator.reconcile import FOLLOW_UP_SECONDS, Reconciler
from llmfinetune_operator.settings import Settings
from llmfinetune_operator.store import Store
from llmfinetune_trainer.config.messages import Report
from tests.unit.operator.reconcile.cluster import FakeCluster
from tests.unit.operator.reconcile.objects import KEY, child, claim, fine_tune, pod

START = datetime(2030, 1, 1, tzinfo=UTC)
CONFIG = ChildRef("v1", "ConfigMap", "medical-run")
JOB = ChildRef("kubeflow.org/v1", "PyTorchJob", "medical")


class World:
    """A reconciler with everything around it made up."""

    def __init__(self, decide: Callable[[Observed], Decision]) -> None:
        self.now = START
        self.store = Store()
        self.cluster = FakeCluster()
        self.reports = Reports(clock=lambda: self.now)
        self.available = True
        self.busy = False
        self.seen: list[Observed] = []
        self.failures: list[tuple[str, bool]] = []
        self._decide = decide
        self.reconcile = Reconciler(
            decide=self.decide,
            store=self.store,
            cluster=self.cluster,
            reports=self.reports,
            training_api=self,
            settings=Settings(trainer_image="trainer"),
            progress_ca=new_authority(now=START).pem,
            clock=lambda: self.now,
            instance="operator-0",
            count_failure=self.count_failure,
            is_busy=lambda: self.busy,
        )
        self.store.put(fine_tune())
        self.store.put(claim())

    def count_failure(self, category: str, *, retryable: bool) -> None:
        self.failures.append((category, retryable))

    def decide(self, observed: Observed, settings: Settings, now: datetime) -> Decision:
        self.seen.append(observed)
        return self._decide(observed)


def config_map(**data: str) -> dict[str, Any]:
    wanted = child(data=data)
    del wanted["metadata"]["resourceVersion"], wanted["metadata"]["uid"]
    return wanted


def pytorchjob() -> dict[str, Any]:
    return {**config_map(), "apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob"}


def wants(*apply: dict[str, Any], **status: Any) -> Callable[[Observed], Decision]:
    return lambda observed: Decision(apply=apply, status=status)


async def test_while_others_wait_to_be_begun_the_first_status_follows_their_children() -> None:
    world = World(wants(config_map(a="1"), phase="Pending"))
    world.busy = True
    assert await world.reconcile(KEY) == FOLLOW_UP_SECONDS
    assert world.cluster.writes == ["apply ConfigMap"]
    assert len(world.seen) == 1, "nothing is decided that nobody is told"
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap", "status"]


async def test_a_status_that_is_there_is_kept_up_however_many_wait() -> None:
    world = World(wants(config_map(a="1"), phase="Training"))
    world.store.put(fine_tune(version=2, status={"phase": "Preparing"}))
    world.busy = True
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap", "status"]


async def test_what_is_missing_is_made_and_a_second_reconcile_writes_nothing() -> None:
    world = World(wants(config_map(a="1"), phase="Pending"))
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap", "status"]
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap", "status"]


def wants_unless_taken(observed: Observed) -> Decision:
    """Want a ConfigMap, unless there is one."""
    taken = any(child["metadata"]["uid"] == "theirs" for child in observed.children.values())
    return Decision(apply=() if taken else (config_map(a="1"),), status={"taken": taken})


async def test_what_is_missing_is_made_without_a_look_at_what_is_there() -> None:
    world = World(wants(config_map(a="1")))
    await world.reconcile(KEY)
    assert world.cluster.reads == []


async def test_what_somebody_else_made_is_shown_to_the_decision_before_anything_is_written() -> None:
    world = World(wants_unless_taken)
    world.cluster.unwatched["medical-run"] = child(uid="theirs", label=None, data={"a": "2"})
    await world.reconcile(KEY)
    await world.reconcile(KEY)
    assert world.cluster.writes == ["status"]
    del world.cluster.unwatched["medical-run"]
    await world.reconcile(KEY)
    assert world.cluster.writes == ["status", "apply ConfigMap", "status"]


async def test_what_somebody_else_made_is_looked_at_again_and_not_written_again() -> None:
    world = World(wants_unless_taken)
    world.cluster.unwatched["medical-run"] = child(uid="theirs", label=None, data={"a": "2"})
    for _ in range(3):
        await world.reconcile(KEY)
    assert world.cluster.reads == ["medical-run"] * 3
    assert world.cluster.attempts == ["medical-run"]


async def test_our_own_object_that_no_watch_tells_of_is_put_right() -> None:
    world = World(wants(config_map(a="1")))
    world.cluster.unwatched["medical-run"] = child(label=None, data={"a": "1"})
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap"]
    await world.reconcile(KEY)
    assert (world.cluster.writes, world.cluster.reads) == (["apply ConfigMap"], ["medical-run"])


async def test_an_object_that_came_and_went_is_left_to_the_next_try() -> None:
    world = World(wants(config_map(a="1")))
    world.cluster.unwatched["medical-run"] = child(label=None)
    world.cluster.vanishing = True
    with pytest.raises(ConflictError):
        await world.reconcile(KEY)
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap"]


async def test_one_status_tells_what_was_wanted_and_what_has_come_of_it() -> None:
    def decide(observed: Observed) -> Decision:
        return Decision(apply=(config_map(a="1"),), status={"made": CONFIG in observed.children})

    world = World(decide)
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap", "status"]
    assert (world.store.fine_tune(KEY) or {})["status"] == {"made": True}


async def test_what_drifted_is_put_right() -> None:
    world = World(wants(config_map(a="1")))
    world.store.put(child(data={"a": "2"}))
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap"]


async def test_what_is_being_deleted_is_left_until_it_is_gone() -> None:
    world = World(wants(config_map(a="1")))
    world.store.put(child(metadata={"deletionTimestamp": "2030-01-01T00:00:00Z"}))
    await world.reconcile(KEY)
    assert world.cluster.writes == []


async def test_deletions_name_the_object_that_was_seen() -> None:
    deletion = Deletion(ref=CONFIG, uid="c1")
    world = World(lambda observed: Decision(delete=(deletion,), status={}))
    await world.reconcile(KEY)
    assert world.cluster.writes == ["delete ConfigMap c1"]


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda world: world.store.remove(fine_tune()), id="one that is gone"),
        pytest.param(
            lambda world: world.store.put(
                {
                    **fine_tune(version=2),
                    "metadata": {**fine_tune(version=2)["metadata"], "deletionTimestamp": "x"},
                }
            ),
            id="one that is being deleted",
        ),
    ],
)
async def test_nothing_is_done_for(prepare: Callable[[World], Any]) -> None:
    world = World(wants(config_map(), phase="Pending"))
    prepare(world)
    assert await world.reconcile(KEY) is None
    assert world.cluster.writes == []


async def test_a_fine_tune_that_is_gone_leaves_no_report_behind() -> None:
    world = World(wants())
    world.reports.receive(KEY, Report(attempt="a", phase="Training"))
    world.store.remove(fine_tune())
    await world.reconcile(KEY)
    assert world.reports.latest(KEY) is None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RefusedError("quota", what="", status=403), id="a refusal"),
        pytest.param(
            UnavailableError("webhook: no route to host", what="", status=500), id="a webhook nobody answers"
        ),
    ],
)
async def test_the_decision_learns_of_a_refused_object_at_once(error: ApiError) -> None:
    def decide(observed: Observed) -> Decision:
        errors = {ref.kind: said for ref, said in observed.apply_errors.items()}
        return Decision(apply=(config_map(),), status={"errors": errors})

    world = World(decide)
    world.cluster.errors["ConfigMap"] = error
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap", "status"]
    status = world.store.fine_tune(KEY)
    assert status is not None
    assert status["status"] == {"errors": {"ConfigMap": error.reason}}


async def test_a_refused_object_is_offered_again_only_after_a_while_and_then_heals() -> None:
    world = World(wants(config_map()))
    world.cluster.errors["ConfigMap"] = RefusedError("quota", what="", status=403)
    await world.reconcile(KEY)
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap"]
    world.now += timedelta(seconds=Settings(trainer_image="x").refused_retry_seconds)
    world.cluster.errors.clear()
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap"] * 2
    await world.reconcile(KEY)
    assert world.seen[-1].apply_errors == {}


async def test_a_clock_that_is_set_back_holds_no_refused_object_and_no_question_back() -> None:
    world = World(wants(config_map()))
    world.store.put(pod(phase="Pending"))
    world.cluster.errors["ConfigMap"] = RefusedError("quota", what="", status=403)
    await world.reconcile(KEY)
    world.now -= timedelta(days=1)
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap"] * 2
    assert world.cluster.reads == ["warnings in ml"]
    world.cluster.warning_events = [{"involvedObject": {"uid": "p1"}, "reason": "FailedMount"}]
    world.now -= timedelta(days=1)
    await world.reconcile(KEY)
    assert world.seen[-1].events


async def test_a_refused_object_that_changed_is_offered_at_once() -> None:
    wanted = [config_map(a="1")]
    world = World(lambda observed: Decision(apply=(wanted[0],), status={}))
    world.cluster.errors["ConfigMap"] = RefusedError("quota", what="", status=403)
    await world.reconcile(KEY)
    wanted[0] = config_map(a="2")
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap"] * 2


async def test_after_a_refusal_nothing_further_is_applied_in_that_reconcile() -> None:
    world = World(wants(config_map(), pytorchjob()))
    world.cluster.errors["ConfigMap"] = RefusedError("quota", what="", status=403)
    await world.reconcile(KEY)
    assert world.cluster.writes == ["apply ConfigMap"]


async def test_an_unknown_training_kind_is_a_fact_and_not_an_error() -> None:
    world = World(wants(pytorchjob()))
    world.cluster.errors["PyTorchJob"] = NotFoundError("no such resource", what="", status=404)
    await world.reconcile(KEY)
    assert world.available is False


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(UnavailableError("connection refused", what=""), id="nobody answers"),
        pytest.param(
            UnavailableError("slow down", what="", status=429, retry_after=3), id="too many requests"
        ),
        pytest.param(UnavailableError("token expired", what="", status=401), id="credentials"),
    ],
)
async def test_a_server_that_cannot_be_used_is_left_to_the_queue(error: ApiError) -> None:
    world = World(wants(config_map(), phase="Pending"))
    world.cluster.errors["ConfigMap"] = error
    with pytest.raises(UnavailableError):
        await world.reconcile(KEY)
    assert "status" not in world.cluster.writes


async def test_a_conflicting_status_is_read_again_and_tried_again() -> None:
    world = World(wants(phase="Pending"))
    world.cluster.errors["status"] = ConflictError("changed", what="", status=409)
    world.cluster.fresh = fine_tune(version=50, status={"phase": "Pending"})
    with pytest.raises(ConflictError):
        await world.reconcile(KEY)
    await world.reconcile(KEY)
    assert world.cluster.writes == ["status"]


async def test_a_fine_tune_deleted_while_its_status_is_written_is_no_error() -> None:
    world = World(wants(phase="Pending"))
    world.cluster.errors["status"] = NotFoundError("gone", what="", status=404)
    await world.reconcile(KEY)
    assert world.store.fine_tune(KEY) is None


def says(reason: str) -> Callable[[Observed], Decision]:
    event = EventToPost(type="Normal", reason=reason, message="m")
    return lambda observed: Decision(status={"phase": reason}, events=(event,))


async def test_events_follow_a_written_status_and_do_not_repeat() -> None:
    world = World(says("Training"))
    await world.reconcile(KEY)
    await world.reconcile(KEY)
    assert [event["reason"] for event in world.cluster.events] == ["Training"]


async def test_without_the_status_there_is_no_event() -> None:
    world = World(says("Training"))
    world.cluster.errors["status"] = UnavailableError("etcd", what="", status=503)
    with pytest.raises(UnavailableError):
        await world.reconcile(KEY)
    assert world.cluster.events == []


async def test_an_event_that_cannot_be_posted_fails_nothing() -> None:
    world = World(says("Training"))
    world.cluster.errors["event"] = UnavailableError("etcd", what="", status=503)
    await world.reconcile(KEY)
    assert world.cluster.writes == ["status"]


async def test_a_look_at_what_a_write_led_to_follows_and_then_none() -> None:
    world = World(wants(config_map(a="1"), phase="Pending"))
    assert await world.reconcile(KEY) == FOLLOW_UP_SECONDS
    assert await world.reconcile(KEY) == math.inf


async def test_a_write_that_changes_nothing_asks_for_no_further_look() -> None:
    world = World(wants(config_map(a="1")))
    world.store.put(child(uid="uid-ConfigMap", version=500, data={"a": "2"}))
    assert await world.reconcile(KEY) == math.inf
    assert world.cluster.writes == ["apply ConfigMap"]


async def test_warnings_are_read_once_something_has_waited_for_a_while() -> None:
    world = World(wants())
    about = {"involvedObject": {"uid": "p1"}, "reason": "FailedMount"}
    world.cluster.warning_events = [about, {"involvedObject": {"uid": "other"}, "reason": "FailedMount"}]
    world.store.put(pod(phase="Pending"))
    assert await world.reconcile(KEY) == WARNINGS_FIRST_SECONDS
    assert world.cluster.reads == []
    world.now += timedelta(seconds=WARNINGS_FIRST_SECONDS)
    await world.reconcile(KEY)
    await world.reconcile(KEY)
    assert world.cluster.reads == ["warnings in ml"]
    assert world.seen[-1].events == (about,)


async def test_warnings_are_read_ever_more_seldom_while_nothing_else_comes_to_wait() -> None:
    world = World(wants())
    world.store.put(pod(phase="Pending"))
    waits = []
    for _ in range(7):
        wait = await world.reconcile(KEY)
        assert wait is not None
        waits.append(wait)
        world.now += timedelta(seconds=wait)
    assert waits == [
        5.0,
        10.0,
        20.0,
        40.0,
        WARNINGS_MOST_SECONDS,
        WARNINGS_MOST_SECONDS,
        WARNINGS_MOST_SECONDS,
    ]
    world.store.put(pod("medical-worker-1", uid="p2", phase="Pending"))
    assert await world.reconcile(KEY) == WARNINGS_FIRST_SECONDS


async def test_without_anything_that_waits_there_are_no_warnings() -> None:
    world = World(wants())
    world.store.put(pod())
    assert await world.reconcile(KEY) == math.inf
    assert world.cluster.reads == []


EXISTING = {"storage": {"existingClaim": "shared"}}
SAME_NAME = {"storage": {"existingClaim": "medical"}}
BEGUN = {"phase": "Preparing"}


@pytest.mark.parametrize(
    ("name", "changes", "has_children"),
    [
        pytest.param("shared", {"spec": EXISTING}, True, id="one of the user's"),
        pytest.param("medical", {"spec": SAME_NAME}, True, id="one of the user's with the fine-tune's name"),
        pytest.param("medical", {"spec": SAME_NAME}, False, id="the same, and nothing is made yet"),
        pytest.param("medical", {"status": BEGUN}, True, id="its own that lost its label"),
        pytest.param("medical", {"status": BEGUN}, False, id="its own that alone is left"),
    ],
)
async def test_a_claim_that_no_watch_carries_is_read(
    name: str, changes: dict[str, Any], has_children: bool
) -> None:
    world = World(wants())
    world.store.remove(claim())
    if has_children:
        world.store.put(child())
    world.store.put(fine_tune(version=2, **changes))
    world.cluster.unwatched[name] = claim(name, label=None)
    await world.reconcile(KEY)
    assert ChildRef("v1", "PersistentVolumeClaim", name) in world.seen[0].children


async def test_a_claim_that_a_watch_carries_is_not_read() -> None:
    world = World(wants())
    world.store.put(fine_tune(version=2, spec=SAME_NAME, status=BEGUN))
    await world.reconcile(KEY)
    assert world.cluster.reads == []


async def test_the_next_look_is_when_the_decision_says() -> None:
    world = World(lambda observed: Decision(status={}, wake_at=START + timedelta(seconds=7)))
    assert await world.reconcile(KEY) == 7.0


async def test_the_trusted_certificates_are_those_of_every_operator() -> None:
    world = World(wants())
    other = new_authority(now=START).pem
    world.store.put(child(name="medical-run", data={"ca.crt": other}))
    await world.reconcile(KEY)
    assert other in world.seen[0].progress_ca
    assert world.seen[0].progress_ca.count("BEGIN CERTIFICATE") == 2


async def test_what_was_reported_about_a_lost_volume_is_forgotten() -> None:
    world = World(lambda observed: Decision(status={}, forget_report=observed.report is not None))
    world.reports.receive(KEY, Report(attempt="u1-1", phase="Training"))
    await world.reconcile(KEY)
    await world.reconcile(KEY)
    assert [observed.report is not None for observed in world.seen] == [True, False]


async def test_a_failure_is_counted_once_its_status_is_written() -> None:
    told = FailureStatus(category="Network", reason="Lost", retryable=True, message="m")
    world = World(lambda observed: Decision(status={"phase": "Training"}, failure=told))
    await world.reconcile(KEY)
    await world.reconcile(KEY)
    assert world.failures == [("Network", True)]
