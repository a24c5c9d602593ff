"""Pods with a node that cannot set up their sandbox (network and devices): told by warning events."""

from collections.abc import Iterable, Mapping
from typing import Final

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.events_about import about
from llmfinetune_operator.policies.known import Known
from llmfinetune_operator.policies.trouble import Trouble, failure

_NETWORK = Known(
    "Network",
    "SandboxFailed",
    "the node cannot set up the pod's network",
    "check the network plugin of the node that `kubectl describe pod` names; the pod starts by itself then",
)
SANDBOX_EVENTS: Final[Mapping[str, Known]] = {
    "FailedCreatePodSandBox": _NETWORK,
    "NetworkNotReady": _NETWORK,
    "FailedMapVolume": Known(
        "Volume",
        "MountFailed",
        "the node cannot attach the pod's volume",
        "check the claim, its volume and the node with `kubectl describe pod`",
    ),
}


def sandbox_trouble(pod: Object, events: Iterable[Object]) -> Trouble | None:
    """What the latest such event says, None once the pod is ready to start its containers."""
    ready = pods.pod_condition(pod, "PodReadyToStartContainers")
    if pods.phase(pod) != "Pending" or (ready is not None and ready["status"] == "True"):
        return None
    known = list(events)
    for reason, meaning in SANDBOX_EVENTS.items():
        if messages := about(pod, known, reasons={reason}):
            return Trouble(
                failure=failure(
                    meaning.category,
                    meaning.reason,
                    f"{meaning.message} (pod {pods.name(pod)}): {messages[-1]}",
                    hint=meaning.hint,
                    retryable=True,
                    pod=pods.name(pod),
                )
            )
    return None
