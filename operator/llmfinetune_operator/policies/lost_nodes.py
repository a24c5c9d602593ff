"""Pods whose node stopped to answer.

Kubernetes has such pods deleted after a while (`resources.pod` says after how long) and then waits for their
node's word that they ended, for ever where it never comes. Until then nobody else can have their names. The
other workers cannot go on by themselves either: a peer that went silent has closed no connection, so that
they wait for it, and the rendezvous may have gone with it. So all workers start anew, and pods that should
have ended are removed without that word.

One that still runs then, behind a broken network, does no harm: its token is void with its pod, the history
it appends to has been replaced, and what it saves is a state of the same training.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.times import parse_time

CATEGORY: Final = "NodeLost"
OVERDUE: Final = timedelta(seconds=10)
"""How long after the end of its grace a pod's node may still say that it ended."""
_BY_TAINT: Final = "DeletionByTaintManager"


def is_cut_off(pod: Object) -> bool:
    """Whether nothing is heard of the pod's node.

    A kubelet tells both conditions, and in step with each other. Only the control plane takes Ready away from
    containers that are ready, and does so when their node has gone silent.
    """
    ready, containers = pods.pod_condition(pod, "Ready"), pods.pod_condition(pod, "ContainersReady")
    if ready is None or containers is None or pods.is_over(pod) or pod["spec"].get("readinessGates"):
        return False
    return bool(ready["status"] == "False" and containers["status"] == "True")


def lost_worker(view: View) -> FailureStatus | None:
    """What is told of a worker that was given up with its node, None where none was."""
    silence = silent_node_trouble(pod for pod in view.worker_pods if pods.is_leaving(pod))
    return silence.failure if silence else None


def silent_node_trouble(group: Iterable[Object]) -> Trouble | None:
    """What is told of the first pod of which nothing is heard."""
    pod = next((pod for pod in group if is_cut_off(pod)), None)
    if pod is None:
        return None
    return Trouble(
        failure=failure(
            CATEGORY,
            "NodeUnreachable",
            f"node {pod['spec'].get('nodeName', '')!r} of pod {pods.name(pod)} does not answer",
            hint="nothing to do: if it stays away, the pod is replaced within two minutes, and training goes "
            "on from its last checkpoint",
            retryable=True,
            pod=pods.name(pod),
        )
    )


def abandoned(view: View) -> list[Object]:
    """Pods that should have ended by now, and whose node will not say so."""
    return [pod for pod in view.observed.pods if (due := _given_up_at(pod)) and view.now >= due]


def next_abandoned(view: View) -> datetime | None:
    """When the next of them is given up."""
    times = [due for pod in view.observed.pods if (due := _given_up_at(pod)) and due > view.now]
    return min(times, default=None)


def _given_up_at(pod: Object) -> datetime | None:
    if not pods.is_leaving(pod) or pods.is_over(pod) or not (is_cut_off(pod) or _was_evicted(pod)):
        return None
    # The API server's deletion timestamp is the end of the grace that the pod was given.
    ends_at = parse_time(pod["metadata"]["deletionTimestamp"])
    return ends_at + OVERDUE if ends_at else None


def _was_evicted(pod: Object) -> bool:
    """Whether it was deleted because its node is tainted, as one that does not answer is."""
    target = pods.pod_condition(pod, "DisruptionTarget")
    return target is not None and (target["status"], target.get("reason")) == ("True", _BY_TAINT)
