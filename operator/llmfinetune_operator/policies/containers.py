"""Tells a pod's containers apart: ours, and those that admission added to it (meshes, agents).

Of what the pod does, ours alone tells. Others can keep it from starting, from going on and from ending.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from llmfinetune_operator.constants import CONTAINER_PREPARE, CONTAINER_WORKER
from llmfinetune_operator.observed import Object

OWN: Final = frozenset({CONTAINER_PREPARE, CONTAINER_WORKER})
_ON_ITS_WAY: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Reasons of containers that wait for nothing but their turn."""


class Container(NamedTuple):
    """One container of a pod, as the kubelet tells of it."""

    name: str
    state: Mapping[str, Any]
    """`waiting`, `running` or `terminated`, with what belongs to it."""
    starts_first: bool
    """Whether the others wait for it (init containers)."""

    @property
    def is_own(self) -> bool:
        """Whether it runs the fine-tune's work."""
        return self.name in OWN


class Waiting(NamedTuple):
    """A container that cannot start."""

    container: Container
    reason: str
    message: str


def containers(pod: Object) -> list[Container]:
    """Every container that the kubelet tells of, ours first."""
    status = pod.get("status", {})
    found = [
        Container(str(each.get("name", "")), each.get("state") or {}, starts_first=starts_first)
        for field, starts_first in (("containerStatuses", False), ("initContainerStatuses", True))
        for each in status.get(field) or ()
    ]
    return sorted(found, key=lambda container: not container.is_own)


def waiting(pod: Object) -> Waiting | None:
    """A container that something keeps from starting: ours, else one that was added."""
    for container in containers(pod):
        state = container.state.get("waiting")
        if state is not None and state.get("reason", "") not in _ON_ITS_WAY:
            return Waiting(container, str(state["reason"]), str(state.get("message", "")))
    return None


def ended(pod: Object) -> Container | None:
    """The container whose end is the pod's: ours, else one without which ours could not start or stay."""
    over = [each for each in containers(pod) if "terminated" in each.state]
    own = next((each for each in over if each.is_own), None)
    if own is not None or pod.get("status", {}).get("phase") != "Failed":
        return own
    return next((each for each in over if each.state["terminated"].get("exitCode")), None)


def outliving(pod: Object) -> Container | None:
    """A container that was added and keeps the pod from ending, though ours has ended."""
    found = containers(pod)
    if not any(each.is_own and "terminated" in each.state for each in found):
        return None
    return next((each for each in found if "running" in each.state and not each.starts_first), None)


def image(pod: Object, name: str) -> str:
    """The image that a container of the pod runs."""
    spec = pod["spec"]
    listed = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return next((str(each.get("image", "")) for each in listed if each.get("name") == name), "")
