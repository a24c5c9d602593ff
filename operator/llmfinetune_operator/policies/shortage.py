"""Tells how the workers found nodes to run on: the condition WorkersScheduled, and what ails too few."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from llmfinetune_operator.backends.base import JobState
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.placement import can_run, what_holds_workers
from llmfinetune_operator.policies.pod_troubles import pod_trouble, trouble_on_node
from llmfinetune_operator.policies.pods_refused import refused_pods_trouble
from llmfinetune_operator.policies.room import Room
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names

_MAKE_ROOM = "Make room, add a node, or lower workers.resources.requests or workers.replicas"
_SHARE = (
    "Workers share one node, as the claim is ReadWriteOnce: storage.accessModes [ReadWriteMany] lets them "
    "spread"
)
_MEETING_PLACE: Final = 0
"""The worker at which all meet: without it none trains."""


class Scheduled(NamedTuple):
    """Whether the workers that are wanted have nodes, in words."""

    all: bool
    reason: str
    message: str


def scheduled(view: View, room: Room, access_modes: Sequence[str]) -> Scheduled | None:
    """Where the workers are, None while there are none to schedule."""
    job = view.training_job
    if job is None or view.is_paused or view.is_outdated or view.backend.state(job) is not JobState.ACTIVE:
        return None
    on_one_node = "ReadWriteMany" not in access_modes
    if room.known.limit is not None:
        return Scheduled(False, "InsufficientResources", _limited(view, room, on_one_node=on_one_node))
    if room.placed < room.asked:
        words = f"{room.placed} of {room.asked} workers have a node to run on: "
        words += what_holds_workers(view, room.asked)
        return Scheduled(False, "TooFewWorkers" if room.is_short else "Waiting", words)
    return Scheduled(True, "AllScheduled", _placement(view, on_one_node=on_one_node))


def _limited(view: View, room: Room, *, on_one_node: bool) -> str:
    known = room.known
    advice = [_MAKE_ROOM, *([_SHARE] if on_one_node else [])]
    return (
        f"training goes on with {(known.limit or 0) - len(room.stuck)} of {view.replicas} workers, as the "
        f"others found no node to run on within {view.spec.workers.scheduling_timeout}: {known.message}. "
        f"All are asked for again at {known.retry_time}. {'. '.join(advice)}"
    )


def _placement(view: View, *, on_one_node: bool) -> str:
    nodes = {pod.get("spec", {}).get("nodeName") for pod in view.worker_pods} - {None}
    where = f"on {len(nodes)} node{'s' if len(nodes) != 1 else ''}"
    if on_one_node:
        return f"all workers have a node, {where}; they share one, as the claim is ReadWriteOnce"
    spread = "spread over nodes" if len(nodes) > 1 else "may spread over more"
    return f"all workers have a node, {where}; they {spread}, as the claim is ReadWriteMany"


def worker_trouble(view: View, room: Room) -> Trouble | None:
    """What keeps the workers from working. That some more cannot run is none while there are enough."""
    least = min(room.asked, view.spec.workers.min_replicas)
    enough = room.placed >= least and _MEETING_PLACE not in room.stuck
    judged = [pod for pod in view.worker_pods if can_run(pod, view)] if enough else view.worker_pods
    trouble = pod_trouble(judged, view)
    if trouble is None:
        return None if enough else _too_few(view, room)
    return trouble if not trouble.final or _too_many_given_up(view) else replace(trouble, final=False)


def _too_many_given_up(view: View) -> bool:
    """Whether those that may still start are too few. One that is only away for a moment is not given up."""
    troubles = {pods.name(pod): trouble_on_node(pod, view) for pod in view.worker_pods}
    given_up = {name for name, trouble in troubles.items() if trouble is not None and trouble.final}
    too_few = view.replicas - len(given_up) < view.spec.workers.min_replicas
    return too_few or names.worker_pod(view.owner.name, _MEETING_PLACE) in given_up


def _too_few(view: View, room: Room) -> Trouble | None:
    refused = refused_pods_trouble(view.training_job, view.observed.events)
    if refused is not None or not room.is_short:
        return refused
    least = view.spec.workers.min_replicas
    return Trouble(
        failure=failure(
            "Scheduling",
            "TooFewWorkers",
            f"{room.placed} workers have a node to run on, and workers.minReplicas is {least}: "
            f"{what_holds_workers(view, room.asked)}",
            hint=f"{_MAKE_ROOM}; or lower workers.minReplicas",
            retryable=True,
        )
    )
