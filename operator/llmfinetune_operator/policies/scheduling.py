"""Pods that no node takes."""

from datetime import datetime, timedelta

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.settings import Settings
from llmfinetune_operator.times import parse_time
from llmfinetune_trainer.config.messages import Category

_ROOM = (
    "make room, add a node, or lower workers.resources.requests or workers.replicas; "
    "check workers.nodeSelector and workers.tolerations"
)
_NO_VOLUME = ("unbound immediate PersistentVolumeClaims", "available persistent volumes to bind")
_UNBOUND = (
    "see `kubectl describe pvc`: the storage class must exist and have a provisioner (kubectl get "
    "storageclass); without storage.storageClassName the cluster needs a default class"
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
    if "persistentvolumeclaim" in message and "not found" in message:
        text = f"pod {pods.name(pod)} waits for a claim: {message}"
        return _trouble(pod, "Volume", "ClaimMissing", text, hint=_CLAIM)
    if now < told_at:
        return None
    if any(words in message for words in _NO_VOLUME):
        # the claim's own events tell more, where there are any: `policies.storage` comes first then
        text = f"pod {pods.name(pod)} waits for its claim to get a volume: {message}"
        return _trouble(pod, "Volume", "VolumePending", text, hint=_UNBOUND)
    text = f"pod {pods.name(pod)} finds no node: {message}"
    return _trouble(pod, "Scheduling", "Unschedulable", text, hint=_ROOM)


def looked_at_again(pod: Object, *, settings: Settings, now: datetime) -> datetime | None:
    """When a pod that waits for a node is to be judged again, None where it does not wait or was judged."""
    condition = pods.pod_condition(pod, "PodScheduled")
    if condition is None or condition["status"] != "False":
        return None
    since = parse_time(condition.get("lastTransitionTime")) or now
    told_at = since + timedelta(seconds=settings.unschedulable_grace_seconds)
    return told_at if told_at > now else None


def _trouble(pod: Object, category: Category, reason: str, message: str, *, hint: str) -> Trouble:
    return Trouble(failure=failure(category, reason, message, hint=hint, retryable=True, pod=pods.name(pod)))
