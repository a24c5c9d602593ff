"""Pods that the cluster ended for reasons of its own: told by the pod's reason and its DisruptionTarget."""

from collections.abc import Mapping
from typing import Final

from llmfinetune_operator.policies.known import Known

_GOES_ON = "nothing to do: training goes on from its last checkpoint"

_PREEMPTED = Known(
    "Preempted", "PodPreempted", "a pod of a higher priority took the place of this one", _GOES_ON
)
_DRAINED = Known("Evicted", "PodEvicted", "the pod was evicted, as when a node is drained", _GOES_ON)
_PRESSURE = Known(
    "Evicted",
    "NodeUnderPressure",
    "the node ran short of memory or disk and evicted the pod",
    f"{_GOES_ON}; raise workers.resources.requests where it happens again",
)
_SHUT_DOWN = Known("NodeLost", "NodeShutdown", "the node shut down", _GOES_ON)
_TAINTED = Known("NodeLost", "NodeUnreachable", "the node stopped to answer, or got a taint", _GOES_ON)
_GONE = Known("NodeLost", "NodeGone", "the pod's node does not exist any more", _GOES_ON)
_RESTARTED = Known(
    "NodeLost", "NodeRestarted", "the node or its container runtime started anew under the pod", _GOES_ON
)
_REFUSED = Known(
    "Scheduling",
    "NodeRefusedPod",
    "the node had no room left for the pod when it came",
    "nothing to do: another pod takes its place",
)
_LOST = Known("NodeLost", "PodLost", "the pod ended without a word of its container", _GOES_ON)
_SCRATCH_FULL = Known(
    "DiskFull",
    "ScratchFull",
    "the pod wrote more than its own scratch space holds",
    "report this with the message: what a fine-tune writes belongs on its volume",
)

DISRUPTIONS: Final[Mapping[str, Known]] = {
    # reasons of the condition DisruptionTarget
    "PreemptionByScheduler": _PREEMPTED,
    "EvictionByEvictionAPI": _DRAINED,
    "DeletionByTaintManager": _TAINTED,
    "DeletionByPodGC": _GONE,
    "TerminationByKubelet": _PRESSURE,
    # reasons of the pod itself
    "Preempting": _PREEMPTED,
    "Evicted": _PRESSURE,
    "Shutdown": _SHUT_DOWN,
    "NodeShutdown": _SHUT_DOWN,
    "Terminated": _SHUT_DOWN,
    "NodeLost": _GONE,
    "NodeAffinity": _REFUSED,
    "OutOfcpu": _REFUSED,
    "OutOfmemory": _REFUSED,
    "OutOfpods": _REFUSED,
    "UnexpectedAdmissionError": _REFUSED,
}


LOST_TRACK: Final[Mapping[str, Known]] = {"Unknown": _RESTARTED, "ContainerStatusUnknown": _RESTARTED}
"""Reasons of a container that ended while its runtime or its kubelet was not there to see it."""
WITHOUT_GOODBYE: Final = frozenset({_GONE.reason, _RESTARTED.reason})
"""Ends that no process had time for, not even its kernel: peers may still wait for an answer."""


def disruption(reason: str, message: str) -> Known:
    """What a disruption means; `message` is the pod's own."""
    if "ephemeral" in message and "exceeds" in message:
        return _SCRATCH_FULL
    return DISRUPTIONS.get(reason, _LOST)
