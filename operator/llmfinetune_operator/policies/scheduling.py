"""Pods that no node takes."""

from datetime import datetime, timedelta

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.settings import Settings
from llmfinetune_operator.times import parse_time

_ROOM = (
    "make room, add a node, or lower workers.resources.requests or workers.replicas; "
    "check workers.nodeSelector and workers.tolerations"
)
_CLAIM = "make the claim that the message names, or correct the source or storage.existingClaim"


def scheduling_trouble(pod: Object, *, settings: Settings, now: datetime) -> Trouble | None:
    """Why the pod has no node, once that has lasted longer than a busy cluster needs."""
    condition = pods.pod_condition(pod, "PodScheduled")
    if condition is None or condition["status"] != "False" or condition.get("reason") != "Unschedulable":
        return None
    message = str(condition.get("message", ""))
    since = parse_time(condition.get("lastTransitionTime")) or now
    told_at = since + timedelta(seconds=settings.unschedulable_grace_seconds)
    if "persistentvolumeclaim" in message:
        return _claim_trouble(pod, message)
    if now < told_at:
        return None
    return Trouble(
        failure=failure(
            "Scheduling",
            "Unschedulable",
            f"pod {pods.name(pod)} finds no node: {message}",
            hint=_ROOM,
            retryable=True,
            pod=pods.name(pod),
        )
    )


def looked_at_again(pod: Object, *, settings: Settings, now: datetime) -> datetime | None:
    """When a pod that waits for a node is to be judged again, None where it does not wait or was judged."""
    condition = pods.pod_condition(pod, "PodScheduled")
    if condition is None or condition["status"] != "False":
        return None
    since = parse_time(condition.get("lastTransitionTime")) or now
    told_at = since + timedelta(seconds=settings.unschedulable_grace_seconds)
    return told_at if told_at > now else None


def _claim_trouble(pod: Object, message: str) -> Trouble | None:
    if "not found" not in message:
        return None  # an unbound claim is told of by `policies.storage`, with its own events
    return Trouble(
        failure=failure(
            "Volume",
            "ClaimMissing",
            f"pod {pods.name(pod)} waits for a claim: {message}",
            hint=_CLAIM,
            retryable=True,
            pod=pods.name(pod),
        )
    )
