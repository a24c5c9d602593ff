"""Containers that cannot start: images that cannot be pulled, references that lead nowhere."""

from datetime import datetime, timedelta

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.settings import Settings

_PULL_REASONS = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable"}


def start_trouble(pod: Object, *, settings: Settings, now: datetime) -> Trouble | None:
    """What keeps the pod's container from starting, None where nothing does that the kubelet tells of."""
    waiting = pods.waiting(pod)
    if waiting is None:
        return None
    reason, message = waiting
    if reason == "InvalidImageName":
        return Trouble(failure=_image_failure(pod, "InvalidImageName", message, retryable=False), final=True)
    if reason in _PULL_REASONS:
        return _pull_trouble(pod, message, settings=settings, now=now)
    if reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
        return Trouble(
            failure=failure(
                "UserError",
                reason,
                f"pod {pods.name(pod)} cannot start its container: {message}",
                hint="make what the message names; the pod starts by itself then",
                retryable=True,
                pod=pods.name(pod),
            )
        )
    return None


def _pull_trouble(pod: Object, message: str, *, settings: Settings, now: datetime) -> Trouble:
    since = pods.waiting_since(pod) or now
    grace = settings.image_pull_grace_seconds
    gives_up_at = since + timedelta(seconds=grace)
    is_given_up = now >= gives_up_at
    return Trouble(
        failure=_image_failure(pod, "ImagePullFailed", message, retryable=True),
        final=is_given_up,
        tried=f"{grace:.0f} s",
        wake_at=None if is_given_up else gives_up_at,
    )


def _image_failure(pod: Object, reason: str, message: str, *, retryable: bool) -> FailureStatus:
    image = pod["spec"]["containers"][0].get("image", "")
    return failure(
        "Image",
        reason,
        f"pod {pods.name(pod)} cannot get image {image!r}: {message or reason}",
        hint="correct runtime.image, or let the nodes reach its registry; check with `kubectl describe pod`",
        retryable=retryable,
        pod=pods.name(pod),
    )
