"""Reads the state of pods."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from llmfinetune_operator.constants import LABEL_COMPONENT
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies.containers import Container, containers, ended
from llmfinetune_operator.times import parse_time


@dataclass(frozen=True, kw_only=True)
class Termination:
    """How a pod's container ended."""

    pod: str
    added: str = ""
    """Name of the container, where it is none of ours but one that admission added to the pod."""
    exit_code: int
    reason: str
    """The kubelet's word: Error, OOMKilled, ContainerCannotRun …"""
    message: str
    """The termination message, or the end of the log."""
    disruption: str = ""
    """Why the cluster ended the pod, in its own word; empty where the container ended by itself."""
    told: str = ""
    """What the pod itself says, beside its container."""


def of_component(pods: Iterable[Object], component: str) -> tuple[Object, ...]:
    """The pods that run one component, oldest first."""
    found = [p for p in pods if (p["metadata"].get("labels") or {}).get(LABEL_COMPONENT) == component]
    return tuple(sorted(found, key=lambda p: (p["metadata"].get("creationTimestamp", ""), name(p))))


def name(pod: Object) -> str:
    """The pod's name."""
    return str(pod["metadata"]["name"])


def uid(pod: Object) -> str:
    """The pod's identity."""
    return str(pod["metadata"].get("uid", ""))


def phase(pod: Object) -> str:
    """Pending, Running, Succeeded or Failed."""
    return str(pod.get("status", {}).get("phase", "Pending"))


def is_leaving(pod: Object) -> bool:
    """Whether the pod was told to end."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_over(pod: Object) -> bool:
    """Whether nothing of the pod runs any more."""
    return phase(pod) in {"Succeeded", "Failed"}


def is_running(pod: Object) -> bool:
    """Whether the pod's container runs."""
    return phase(pod) == "Running" and not is_leaving(pod)


def is_ready(pod: Object) -> bool:
    """Whether the pod runs and says that it is ready."""
    condition = pod_condition(pod, "Ready")
    return is_running(pod) and condition is not None and condition["status"] == "True"


def pod_condition(pod: Object, kind: str) -> Object | None:
    """One condition of the pod."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind), None)


def waiting_since(pod: Object) -> datetime | None:
    """Since when the pod's container could have started: when it got its node, else when it was made."""
    scheduled = pod_condition(pod, "PodScheduled")
    if scheduled and scheduled["status"] == "True" and scheduled.get("lastTransitionTime"):
        return parse_time(scheduled["lastTransitionTime"])
    return parse_time(pod["metadata"].get("creationTimestamp"))


def running_since(pod: Object) -> datetime | None:
    """Since when the pod's container runs, as far as the kubelet tells; else when the pod was made."""
    own = [each.state for each in containers(pod) if each.is_own]
    started = [state["running"].get("startedAt") for state in own if "running" in state]
    return parse_time(next(iter(started), None) or pod["metadata"].get("creationTimestamp"))


def termination(pod: Object) -> Termination | None:
    """How the pod's container ended, None while it has not."""
    container = ended(pod)
    return _without_container(pod) if container is None else _termination(pod, container)


def _termination(pod: Object, container: Container) -> Termination:
    terminated = container.state["terminated"]
    return Termination(
        pod=name(pod),
        added="" if container.is_own else container.name,
        exit_code=int(terminated.get("exitCode", 0)),
        reason=str(terminated.get("reason", "")),
        message=str(terminated.get("message", "")),
        disruption=_disruption(pod),
        told=_told(pod),
    )


def _without_container(pod: Object) -> Termination | None:
    """A pod that was evicted, or whose node is gone, may fail without any container's state."""
    if phase(pod) != "Failed":
        return None
    return Termination(
        pod=name(pod),
        exit_code=137,
        reason="",
        message="",
        disruption=_disruption(pod) or "Unknown",
        told=_told(pod),
    )


def _disruption(pod: Object) -> str:
    """The pod's own reason is more exact than its condition, which does not say what the kubelet met."""
    own = str(pod.get("status", {}).get("reason") or "")
    target = pod_condition(pod, "DisruptionTarget")
    disrupted = target is not None and target["status"] == "True"
    return own or (str(target.get("reason") or "Unknown") if target is not None and disrupted else "")


def _told(pod: Object) -> str:
    status = pod.get("status", {})
    target = pod_condition(pod, "DisruptionTarget")
    return str(status.get("message") or (target or {}).get("message") or "")
