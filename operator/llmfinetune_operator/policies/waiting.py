"""Containers that cannot start: images that cannot be pulled, references that lead nowhere."""

from datetime import datetime, timedelta

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import containers, pods
from llmfinetune_operator.policies.containers import Container, Waiting
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.settings import Settings

_PULL_REASONS = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable"}
_IMAGE = (
    "correct runtime.image, name the Secret for a private registry in runtime.imagePullSecrets, or let the "
    "nodes reach the registry; check with `kubectl describe pod`"
)
_ADDED_IMAGE = (
    "something in the cluster added that container to the pod: correct its image there, or have pods of "
    "fine-tunes left out"
)


def start_trouble(pod: Object, *, settings: Settings, now: datetime) -> Trouble | None:
    """What keeps the pod's containers from starting, None where nothing does that the kubelet tells of."""
    found = containers.waiting(pod)
    if found is None:
        return None
    if found.reason == "InvalidImageName":
        return Trouble(failure=_image_failure(pod, found, "InvalidImageName", retryable=False), final=True)
    if found.reason in _PULL_REASONS:
        return _pull_trouble(pod, found, settings=settings, now=now)
    if found.reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
        return Trouble(
            failure=failure(
                "UserError",
                found.reason,
                f"pod {pods.name(pod)} cannot start {_which(found.container)}: {found.message}",
                hint="make what the message names; the pod starts by itself then",
                retryable=True,
                pod=pods.name(pod),
            )
        )
    return None


def _pull_trouble(pod: Object, found: Waiting, *, settings: Settings, now: datetime) -> Trouble:
    since = pods.waiting_since(pod) or now
    grace = settings.image_pull_grace_seconds
    gives_up_at = since + timedelta(seconds=grace)
    is_given_up = now >= gives_up_at
    return Trouble(
        failure=_image_failure(pod, found, "ImagePullFailed", retryable=True),
        final=is_given_up,
        tried=f"{grace:.0f} s",
        wake_at=None if is_given_up else gives_up_at,
    )


def _image_failure(pod: Object, found: Waiting, reason: str, *, retryable: bool) -> FailureStatus:
    image, container = containers.image(pod, found.container.name), found.container
    whose = "" if container.is_own else f" of {_which(container)}"
    return failure(
        "Image",
        reason,
        f"pod {pods.name(pod)} cannot get image {image!r}{whose}: {found.message or reason}",
        hint=_IMAGE if container.is_own else _ADDED_IMAGE,
        retryable=retryable,
        pod=pods.name(pod),
    )


def _which(container: Container) -> str:
    return "its container" if container.is_own else f"container {container.name!r}"
