"""Kubernetes events: how those about a fine-tune look, and what other objects' warnings are worth reading."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final

from llmfinetune_operator.constants import FIELD_MANAGER, GROUP
from llmfinetune_operator.decision import EventToPost
from llmfinetune_operator.observed import ChildRef, Object

MAX_NOTE: Final = 1024


def event_object(event: EventToPost, fine_tune: Object, *, now: datetime, instance: str) -> Object:
    """Return the event to create about a fine-tune in its present state.

    The name follows from what is said and about which resourceVersion, so two operators that say the same at
    the same time say it once.
    """
    metadata = fine_tune["metadata"]
    said = (metadata["uid"], metadata["resourceVersion"], event.reason, event.message)
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{sha256(repr(said).encode()).hexdigest()[:16]}",
            "namespace": metadata["namespace"],
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": event.type,
        "reason": event.reason,
        "note": event.message[:MAX_NOTE],
        "action": "Reconcile",
        "reportingController": f"{GROUP}/{FIELD_MANAGER}",
        "reportingInstance": instance[:128],
        "regarding": {
            "apiVersion": fine_tune["apiVersion"],
            "kind": fine_tune["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
    }


def pending(children: Mapping[ChildRef, Object], pods: tuple[Object, ...]) -> list[Object]:
    """Return what waits for something that only warning events name: pods, claims, jobs that lack pods."""
    return [
        *(pod for pod in pods if (pod.get("status") or {}).get("phase", "Pending") == "Pending"),
        *(child for ref, child in children.items() if _is_pending(ref, child, pods)),
    ]


def _is_pending(ref: ChildRef, child: Object, pods: tuple[Object, ...]) -> bool:
    status = child.get("status") or {}
    if ref.kind == "PersistentVolumeClaim":
        return bool(status.get("phase", "Pending") == "Pending")
    if ref.kind not in ("Job", "PyTorchJob"):
        return False
    return not _has_ended(status) and sum(_owns(child, pod) for pod in pods) < _num_pods(child)


def _num_pods(job: Object) -> int:
    workers = (job["spec"].get("pytorchReplicaSpecs") or {}).get("Worker") or {}
    return int(workers.get("replicas", 1))


def _has_ended(status: Object) -> bool:
    ends = {"Complete", "Failed", "Succeeded", "Suspended"}
    return any(each["type"] in ends and each["status"] == "True" for each in status.get("conditions") or ())


def _owns(owner: Object, owned: Object) -> bool:
    references = owned["metadata"].get("ownerReferences") or ()
    return any(each["uid"] == owner["metadata"]["uid"] for each in references)
