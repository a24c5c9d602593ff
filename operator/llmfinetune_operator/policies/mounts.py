"""Pods whose volumes cannot be mounted: a Secret, a key or a ConfigMap that is not there, a disk that is
elsewhere."""

import re
from collections.abc import Iterable

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.events_about import about
from llmfinetune_operator.policies.trouble import Trouble, failure

_SECRET = re.compile(r'secret "(?P<name>[^"]+)" not found')
_SECRET_KEY = re.compile(r"references non-existent secret key: (?P<name>\S+)")
_CONFIG_MAP = re.compile(r'configmap "(?P<name>[^"]+)" not found')
_CONFIG_KEY = re.compile(r"references non-existent config key: (?P<name>\S+)")
_REASONS = {"FailedMount", "FailedAttachVolume"}


def mount_trouble(pod: Object, events: Iterable[Object]) -> Trouble | None:
    """What the latest event about the pod's volumes says, None where the pod has started."""
    if pods.phase(pod) != "Pending":
        return None
    messages = about(pod, events, reasons=_REASONS)
    known = [found for message in reversed(messages) if (found := _known(pod, message))]
    if known:
        return Trouble(failure=known[0])
    return Trouble(failure=_unknown(pod, messages[-1])) if messages else None


def _known(pod: Object, message: str) -> FailureStatus | None:
    if match := _SECRET.search(message):
        return _missing(
            pod,
            "SecretMissing",
            f"Secret {match['name']!r} does not exist in the namespace",
            f"make it: kubectl create secret generic {match['name']} --from-literal=token=<token>",
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
