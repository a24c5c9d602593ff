"""What prepare and worker pods share: the container, its environment, and the rights it does without.

Every pod passes Pod Security `restricted`: an unprivileged user, no capabilities, a read-only root file
system, no token of the API server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from llmfinetune_operator.observed import Object
from llmfinetune_operator.resources import labels, names
from llmfinetune_operator.resources.metadata import Owner
from llmfinetune_operator.resources.volumes import SCRATCH, Volume
from llmfinetune_trainer.config import layout
from llmfinetune_trainer.config.quantity import quantity

USER_ID = 65532
"""Unprivileged user and group of the images ("nonroot")."""
GRACE_SECONDS = 25
"""Time from SIGTERM to SIGKILL: a checkpoint takes up to 15 s, leaving the group some more, and 30 s after a
pause began nothing is left."""


SILENT_NODE_SECONDS = 30
"""How long a pod stays where its node does not answer. Kubernetes' own 5 minutes spare services that need
much to start; a worker starts in seconds, and all the others wait for it."""
NODE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
NO_SIDECAR_LABELS: Final = {"sidecar.istio.io/inject": "false"}
NO_SIDECAR_ANNOTATIONS: Final = {"linkerd.io/inject": "disabled"}
"""What service meshes are told: a proxy that runs on keeps a pod from ending, and workers talk to each other
over ports that are chosen while they run."""


@dataclass(frozen=True, kw_only=True)
class PodSettings:
    """What a fine-tune and its installation say about every pod."""

    owner: Owner
    image: str
    image_pull_policy: str
    progress_url: str
    resources: Mapping[str, Mapping[str, str]]
    """`requests` and `limits`, as quantities."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The user's variables. They may tune, but not redirect what the operator relies on."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Any]] = ()
    priority_class_name: str | None = None
    image_pull_secrets: Sequence[str] = ()


def pod_template(
    pod: PodSettings,
    *,
    component: str,
    container: str,
    command: str,
    attempt: str,
    volumes: Sequence[Volume],
    extra_env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Complete pod template that runs `llmfinetune <command>` on the fine-tune's volume."""
    main = _container(pod, name=container, command=command, volumes=volumes)
    main["env"] = _environment(pod, {layout.ENV_ATTEMPT: attempt, **(extra_env or {})})
    spec: dict[str, Any] = {
        "serviceAccountName": names.service_account(pod.owner.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": _pod_security(),
        "containers": [main],
        "volumes": list({volume.name: volume.pod_volume() for volume in volumes}.values()),
        **_placement(pod),
        **_pull_secrets(pod),
    }
    metadata = {
        "labels": {**labels.of_component(pod.owner.name, component), **NO_SIDECAR_LABELS},
        "annotations": dict(NO_SIDECAR_ANNOTATIONS),
    }
    return {"metadata": metadata, "spec": spec}


def _pull_secrets(pod: PodSettings) -> dict[str, Any]:
    """Absent where there are none, so that those of the service account stay."""
    named = [{"name": name} for name in pod.image_pull_secrets]
    return {"imagePullSecrets": named} if named else {}


def _placement(pod: PodSettings) -> dict[str, Any]:
    placement: dict[str, Any] = {
        "nodeSelector": dict(pod.node_selector),
        "tolerations": [*(dict(toleration) for toleration in pod.tolerations), *_silent_node(pod)],
        "priorityClassName": pod.priority_class_name,
    }
    return {field: value for field, value in placement.items() if value}


def _silent_node(pod: PodSettings) -> list[dict[str, Any]]:
    """For how long a silent node is put up with, where the user does not say so."""
    given = {toleration.get("key") for toleration in pod.tolerations}
    return [
        {
            "key": taint,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": SILENT_NODE_SECONDS,
        }
        for taint in NODE_TAINTS
        if taint not in given
    ]


def _container(pod: PodSettings, *, name: str, command: str, volumes: Sequence[Volume]) -> dict[str, Any]:
    paths = ["--config", str(layout.RUN_CONFIG), "--workspace", str(layout.WORKSPACE)]
    return {
        "name": name,
        "image": pod.image,
        "imagePullPolicy": pod.image_pull_policy,
        "command": ["llmfinetune", command, *paths],
        "resources": {kind: dict(amounts) for kind, amounts in pod.resources.items() if amounts},
        "securityContext": _container_security(),
        "terminationMessagePath": str(layout.TERMINATION_LOG),
        # A container that dies before it can write its message still leaves the end of its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [volume.mount() for volume in volumes],
    }


def _environment(pod: PodSettings, contract: Mapping[str, str]) -> list[dict[str, str]]:
    defaults = {
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "HF_HOME": f"{SCRATCH}/huggingface",
        "OMP_NUM_THREADS": str(num_threads(pod.resources)),
    }
    fixed = {
        layout.ENV_SERVER_URL: pod.progress_url,
        layout.ENV_SERVER_CA: str(layout.PROGRESS / "ca.crt"),
        layout.ENV_SERVER_TOKEN: str(layout.PROGRESS / "token"),
        **_memory(pod),
        **contract,
    }
    return [{"name": name, "value": value} for name, value in {**defaults, **pod.env, **fixed}.items()]


def attempt_of_pod(pod: Object) -> str:
    """The attempt that a live pod was made for, empty where it does not say."""
    for container in (pod.get("spec") or {}).get("containers") or ():
        for variable in container.get("env") or ():
            if variable.get("name") == layout.ENV_ATTEMPT:
                return str(variable.get("value") or "")
    return ""


def _memory(pod: PodSettings) -> dict[str, str]:
    """The limit, also for nodes on which a container cannot see its own."""
    limit = pod.resources.get("limits", {}).get("memory")
    return {layout.ENV_WORKER_MEMORY: limit} if limit else {}


def num_threads(resources: Mapping[str, Mapping[str, str]]) -> int:
    """Compute threads of a worker: whole processors of its limit, else of its request, and at least one."""
    amount = resources.get("limits", {}).get("cpu") or resources.get("requests", {}).get("cpu")
    return max(1, int(quantity(amount) or Decimal(1)))


def _pod_security() -> dict[str, Any]:
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container_security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
