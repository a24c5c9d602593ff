"""The operator's core: from everything observed to everything wanted, as one pure function."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from llmfinetune_operator.backends.base import Backend, JobState
from llmfinetune_operator.backends.pytorchjob import PyTorchJobBackend
from llmfinetune_operator.children import (
    desired_claim,
    desired_configuration,
    desired_prepare_job,
    desired_training_job,
)
from llmfinetune_operator.decision import Decision, Deletion
from llmfinetune_operator.observed import ChildRef, Object, Observed
from llmfinetune_operator.policies import jobs, pods
from llmfinetune_operator.policies.attempts import TrainingStep
from llmfinetune_operator.policies.deadline import deadline, deadline_trouble
from llmfinetune_operator.policies.for_good import for_good
from llmfinetune_operator.policies.lost_nodes import abandoned, next_abandoned
from llmfinetune_operator.policies.origin import origin_trouble
from llmfinetune_operator.policies.ownership import name_trouble
from llmfinetune_operator.policies.pod_troubles import next_look
from llmfinetune_operator.policies.preparation import (
    Preparation,
    preparation,
    preparation_trouble,
)
from llmfinetune_operator.policies.prepare import PrepareStep, prepare_step
from llmfinetune_operator.policies.queueing import is_fixed
from llmfinetune_operator.policies.refusals import refusal
from llmfinetune_operator.policies.room import Room, room
from llmfinetune_operator.policies.storage import Storage, storage
from llmfinetune_operator.policies.training import training_step
from llmfinetune_operator.policies.trouble import Trouble
from llmfinetune_operator.policies.ttl import expired_children, expires_at, has_expired
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.settings import Settings
from llmfinetune_operator.status.build import build_status, status_json
from llmfinetune_operator.status.events import events, new_failure
from llmfinetune_operator.status.facts import Facts
from llmfinetune_operator.status.invalid import invalid_spec
from llmfinetune_operator.status.phase import TERMINAL
from llmfinetune_operator.status.rate import limited

BACKEND: Backend = PyTorchJobBackend()


def decide(observed: Observed, settings: Settings, now: datetime) -> Decision:
    """One step of the fine-tune towards its spec. `now` is aware, in UTC.

    The status is the operator's only memory: what must not be forgotten (the attempt, counts, an end) is
    written there in one cycle and acted on in the next, so that a crash between any two writes loses nothing.
    """
    if observed.fine_tune["metadata"].get("deletionTimestamp"):
        return Decision(status=_stored(observed))  # the garbage collector takes the children along
    try:
        view = View.of(observed, settings, now, BACKEND)
    except ValidationError as error:
        return Decision(status=invalid_spec(observed, error, now))
    return _after_the_end(view) if view.previous.phase in TERMINAL else _towards_the_end(view)


@dataclass(frozen=True, kw_only=True)
class _Findings:
    """What the policies say about one view."""

    storage: Storage
    preparation: Preparation
    prepare: PrepareStep
    prepare_job: dict[str, Any]
    """The prepare Job as it should be."""
    training: TrainingStep
    room: Room
    trouble: Trouble | None


def _towards_the_end(view: View) -> Decision:
    found = _judge(view)
    status = build_status(
        view,
        Facts(
            storage=found.storage,
            preparation=found.preparation,
            attempt=found.training.attempt,
            counts=found.training.counts,
            ending=found.training.ending,
            remedy=found.training.remedy,
            room=found.room,
            trouble=found.trouble,
            result=found.training.result,
        ),
    )
    written = limited(view, status_json(status))
    is_blocked = name_trouble(view) is not None or (found.trouble is not None and found.trouble.final)
    return Decision(
        apply=() if is_blocked else tuple(_wanted(view, found)),
        delete=() if is_blocked else tuple(_unwanted(view, found)),
        status=written.status,
        forget_report=view.condition_is_true("Prepared") and found.preparation is not Preparation.DONE,
        events=events(view.previous, status),
        failure=new_failure(view.previous, status),
        wake_at=_earliest(view, found, written.wake_at),
    )


def _judge(view: View) -> _Findings:
    volume, prepared, found_room = storage(view), preparation(view), room(view)
    training = training_step(view, room=found_room, prepared=prepared is Preparation.DONE)
    prepare_job = desired_prepare_job(view)
    can_begin = volume.usable and origin_trouble(view) is None
    return _Findings(
        storage=volume,
        preparation=prepared,
        prepare=prepare_step(view, prepared, prepare_job, usable=can_begin),
        prepare_job=prepare_job,
        training=training,
        room=found_room,
        trouble=None if training.result else _trouble(view, volume, prepared, training),
    )


def _trouble(view: View, volume: Storage, prepared: Preparation, training: TrainingStep) -> Trouble | None:
    """What ends the fine-tune, else what is to be put right first: later stages fail of earlier ones."""
    candidates = [
        deadline_trouble(view),
        name_trouble(view),
        refusal(view),
        origin_trouble(view),
        volume.trouble,
        None if prepared is Preparation.DONE else preparation_trouble(view),
        training.trouble,
    ]
    present = [trouble for trouble in candidates if trouble is not None]
    final = [trouble for trouble in present if trouble.final]
    return for_good(view, final[0]) if final else next(iter(present), None)


def _wanted(view: View, found: _Findings) -> list[dict[str, Any]]:
    """Complete children, in the order in which they need each other."""
    objects = [*desired_claim(view), *desired_configuration(view)]
    if found.prepare.apply:
        objects.append(found.prepare_job)
    if found.training.apply and not is_fixed(view, view.training_job):
        modes = found.storage.access_modes
        objects.append(
            desired_training_job(
                view, attempt=found.training.attempt, replicas=found.room.asked, access_modes=modes
            )
        )
    return objects


def _unwanted(view: View, found: _Findings) -> list[Deletion]:
    deletions = [
        _deletion(ChildRef("v1", "Pod", pods.name(pod)), pod, at_once=True) for pod in abandoned(view)
    ]
    if found.prepare.delete and view.prepare_job is not None:
        deletions.append(_deletion(view.prepare_ref, view.prepare_job))
    if found.training.delete and view.training_job is not None:
        deletions.append(_deletion(view.training_ref, view.training_job))
    return deletions


def _after_the_end(view: View) -> Decision:
    """Terminal states stay. Work that still runs is ended; whether the volume is kept can still change."""
    status = _stored(view.observed)
    status["observedGeneration"] = view.generation
    expired = has_expired(view)
    leaves = expired and not view.spec.storage.retain
    return Decision(
        apply=() if view.claim is None or leaves else tuple(desired_claim(view)),
        delete=tuple(
            [_deletion(*child) for child in expired_children(view)] if expired else _still_working(view)
        ),
        status=status,
        wake_at=None if expired else expires_at(view),
    )


def _still_working(view: View) -> list[Deletion]:
    deletions = []
    prepare, job = view.prepare_job, view.training_job
    if prepare is not None and not jobs.is_over(prepare):
        deletions.append(_deletion(view.prepare_ref, prepare))
    if job is not None and view.backend.state(job) is JobState.ACTIVE:
        deletions.append(_deletion(view.training_ref, job))
    return deletions


def _deletion(ref: ChildRef, live: Object, *, at_once: bool = False) -> Deletion:
    return Deletion(ref=ref, uid=live["metadata"]["uid"], at_once=at_once)


def _earliest(view: View, found: _Findings, status_due: datetime | None) -> datetime | None:
    times = [
        status_due,
        deadline(view),
        found.training.wake_at,
        found.room.wake_at,
        found.trouble.wake_at if found.trouble else None,
        next_look(view.observed.pods, view),
        next_abandoned(view),
    ]
    return min((time for time in times if time is not None), default=None)


def _stored(observed: Observed) -> dict[str, Any]:
    return dict(observed.fine_tune.get("status") or {})
