"""Pods that were told to end, and stay: something holds them back that only a person can end.

A finalizer of somebody else's, or a process that waits for its storage and heeds no signal. As long as such a
pod of a worker is there, nobody else can have its name, and the next attempt waits. Pods whose node is silent
are no such case: `policies.lost_nodes` makes room for others there.
"""

from datetime import datetime, timedelta
from typing import Final

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.times import parse_time

PATIENCE: Final = timedelta(seconds=60)
"""How long after the end of its grace a pod may still be there."""


def stuck_trouble(view: View) -> Trouble | None:
    """What is told of the first pod with a worker's name that should be gone, None where none should."""
    overdue = [pod for pod in view.named_like_workers if (due := _due(pod)) and view.now >= due]
    return _trouble(overdue[0]) if overdue else None


def next_stuck(view: View) -> datetime | None:
    """When the next such pod should be gone, None where none was told to go."""
    dues = [due for pod in view.named_like_workers if (due := _due(pod)) and due > view.now]
    return min(dues, default=None)


def _due(pod: Object) -> datetime | None:
    # The API server's deletion timestamp is the end of the grace that the pod was given.
    ends_at = parse_time(pod["metadata"].get("deletionTimestamp"))
    return ends_at + PATIENCE if ends_at else None


def _trouble(pod: Object) -> Trouble:
    name, node = pods.name(pod), pod["spec"].get("nodeName") or "none"
    finalizers = ", ".join(pod["metadata"].get("finalizers") or ())
    holds = f"finalizers {finalizers} hold it" if finalizers else "a process in it does not end"
    return Trouble(
        failure=failure(
            "Volume",
            "PodStuck",
            f"pod {name} on node {node!r} was told to end and is still there ({holds}): workers wait for "
            "its name",
            hint=_release(name, finalizers) if finalizers else _force(name, node),
            retryable=True,
            pod=name,
        )
    )


def _release(name: str, finalizers: str) -> str:
    return (
        f"find out what sets {finalizers} and why it does not let go; where it is gone for good: kubectl "
        f"""patch pod {name} --type=merge -p '{{"metadata":{{"finalizers":null}}}}'"""
    )


def _force(name: str, node: str) -> str:
    return (
        f"look at node {node!r} and at the storage behind the claim: a process that waits for storage heeds "
        f"no signal. Put that right or restart the node; once nothing of the pod runs any more: kubectl "
        f"delete pod {name} --force"
    )
