"""Tells how the workers found nodes: the condition WorkersScheduled, and what ails too few."""

from collections.abc import Sequence
from typing import NamedTuple

from llmfinetune_operator.backends.base import JobState
from llmfinetune_operator.policies.pod_troubles import pod_trouble
from llmfinetune_operator.policies.pods_refused import refused_pods_trouble
from llmfinetune_operator.policies.room import Room, is_placed, what_holds_workers
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View

_MAKE_ROOM = "Make room, add a node, or lower workers.resources.requests or workers.replicas"
_SHARE = (
    "Workers share one node, as the claim is ReadWriteOnce: storage.accessModes [ReadWriteMany] lets them "
    "spread"
)


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
        words = f"{room.placed} of {room.asked} workers have a node: {what_holds_workers(view, room.asked)}"
        return Scheduled(False, "TooFewWorkers" if room.is_short else "Waiting", words)
    return Scheduled(True, "AllScheduled", _placement(view, on_one_node=on_one_node))


def _limited(view: View, room: Room, *, on_one_node: bool) -> str:
    known = room.known
    advice = [_MAKE_ROOM, *([_SHARE] if on_one_node else [])]
    return (
        f"training goes on with {known.limit} of {view.replicas} workers, as the others found no node within "
        f"{view.spec.workers.scheduling_timeout}: {known.message}. "
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
    """What keeps the workers from working. That some more find no node is none while there are enough."""
    enough = room.placed >= min(room.asked, view.spec.workers.min_replicas)
    judged = [pod for pod in view.worker_pods if is_placed(pod)] if enough else view.worker_pods
    return pod_trouble(judged, view) or (None if enough else _too_few(view, room))


def _too_few(view: View, room: Room) -> Trouble | None:
    refused = refused_pods_trouble(view.training_job, view.observed.events)
    if refused is not None or not room.is_short:
        return refused
    least = view.spec.workers.min_replicas
    return Trouble(
        failure=failure(
            "Scheduling",
            "TooFewWorkers",
            f"{room.placed} workers have a node, and workers.minReplicas is {least}: "
            f"{what_holds_workers(view, room.asked)}",
            hint=f"{_MAKE_ROOM}; or lower workers.minReplicas",
            retryable=True,
        )
    )
