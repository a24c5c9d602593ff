"""Pods whose volumes cannot be mounted: a Secret, a key or a ConfigMap is missing, a disk is elsewhere."""

import re
from datetime import timedelta
from typing import Final

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.events_about import about
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View

_SECRET = re.compile(r'secret "(?P<name>[^"]+)" not found')
_SECRET_KEY = re.compile(r"references non-existent secret key: (?P<name>\S+)")
_CONFIG_MAP = re.compile(r'configmap "(?P<name>[^"]+)" not found')
_CONFIG_KEY = re.compile(r"references non-existent config key: (?P<name>\S+)")
_REASONS = {"FailedMount", "FailedAttachVolume"}
OUTDATED: Final = timedelta(minutes=10)
"""What was not told again for so long is over. Kubelet tries again every two minutes; of what it then tells
of one pod, client-go lets one event in five minutes through once 25 have been told."""


def mount_trouble(pod: Object, view: View) -> Trouble | None:
    """What the latest event about the pod's volumes says, None once they are mounted."""
    mounted = pods.pod_condition(pod, "PodReadyToStartContainers")
    if pods.phase(pod) != "Pending" or (mounted is not None and mounted["status"] == "True"):
        return None
    messages = about(pod, view.observed.events, reasons=_REASONS, since=view.now - OUTDATED)
    known = [found for message in reversed(messages) if (found := _known(pod, message, view))]
    if known:
        return Trouble(failure=known[0])
    return Trouble(failure=_unknown(pod, messages[-1])) if messages else None


def _known(pod: Object, message: str, view: View) -> FailureStatus | None:
    if match := _SECRET.search(message):
        return _missing(
            pod,
            "SecretMissing",
            f"Secret {match['name']!r} does not exist in the namespace",
            _make_secret(match["name"], view),
        )
    if match := _SECRET_KEY.search(message):
        return _missing(
            pod,
            "SecretKeyMissing",
            f"the Secret that model.tokenSecretRef names has no key {match['name']!r}",
            "add the key to the Secret, or name the right one in model.tokenSecretRef.key",
        )
    if match := _CONFIG_MAP.search(message):
        return _missing(
            pod,
            "ConfigMapMissing",
            f"ConfigMap {match['name']!r} does not exist in the namespace",
            "make it, or correct the source that names it",
        )
    if match := _CONFIG_KEY.search(message):
        return _missing(
            pod,
            "ConfigMapKeyMissing",
            f"a ConfigMap has no key {match['name']!r}",
            "add the key, or correct the source that names it",
        )
    return None


def _make_secret(name: str, view: View) -> str:
    """How to make it from a file: what is typed into a command stays in the shell's history."""
    reference = view.spec.model.token_secret_ref
    if reference is None or reference.name != name:
        return "make it, or correct what names it"
    return (
        f"make it from a file that holds the token alone: kubectl create secret generic {name} "
        f"--from-file={reference.key}=<file>"
    )


def _missing(pod: Object, reason: str, what: str, hint: str) -> FailureStatus:
    return failure(
        "ModelAccess" if reason.startswith("Secret") else "Data",
        reason,
        f"{what}; pod {pods.name(pod)} waits for it",
        hint=f"{hint}. The pod starts by itself then",
        retryable=True,
        pod=pods.name(pod),
    )


def _unknown(pod: Object, message: str) -> FailureStatus:
    return failure(
        "Volume",
        "MountFailed",
        f"pod {pods.name(pod)} cannot mount its volumes: {message}",
        hint="check the claim, its volume and the node with `kubectl describe pod`",
        retryable=True,
        pod=pods.name(pod),
    )
