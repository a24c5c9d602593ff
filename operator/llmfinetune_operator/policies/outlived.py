"""Pods that do not end though their work has: a container that something in the cluster added runs on.

Nothing follows from such a pod: a Job waits for it to complete, and the training operator for it to end.
"""

from datetime import datetime, timedelta
from typing import Final

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import containers, pods
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.times import parse_time

PATIENCE: Final = timedelta(seconds=60)
"""How long others may take to see that the work has ended."""
_HINT = (
    "have pods of fine-tunes left out by what added the container: for Istio and Linkerd they ask for it "
    'themselves (sidecar.istio.io/inject: "false", linkerd.io/inject: disabled); or have it added as an '
    "init container with restartPolicy Always, which ends with the others. Deleting the pod lets the work "
    "go on from its last checkpoint"
)


def outlived_trouble(pod: Object, *, now: datetime) -> Trouble | None:
    """The container that keeps the pod from ending, once that has lasted."""
    other, due = containers.outliving(pod), _due(pod)
    if other is None or due is None or now < due:
        return None
    return Trouble(
        failure=failure(
            "UserError",
            "PodOutlived",
            f"the work of pod {pods.name(pod)} has ended, but container {other.name!r}, which something in "
            "the cluster added to it, runs on and keeps the pod from ending",
            hint=_HINT,
            retryable=True,
            pod=pods.name(pod),
        )
    )


def judged_again(pod: Object, *, now: datetime) -> datetime | None:
    """When such a pod will have lasted too long, None where it is none or has."""
    due = _due(pod) if containers.outliving(pod) else None
    return due if due is not None and due > now else None


def _due(pod: Object) -> datetime | None:
    ended = containers.ended(pod)
    ended_at = parse_time(ended.state["terminated"].get("finishedAt")) if ended else None
    return ended_at + PATIENCE if ended_at is not None else None
