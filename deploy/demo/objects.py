"""Builders of what the demonstration puts into the cluster beside the fine-tune itself."""

from typing import Any

MODEL_CLAIM = "llmfinetune-demo-model"
MODEL_FILE = "SmolLM2-135M-Instruct.gguf"
DATA_CONFIG_MAP = "llmfinetune-demo-data"
MODEL_MOUNT = "/model"


def namespace(name: str) -> dict[str, Any]:
    """Returns a namespace that admits only pods of the strictest Pod Security level."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    """Returns a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def claim(name: str, size: str) -> dict[str, Any]:
    """Returns a claim on the default storage class."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }


def pod(
    name: str,
    *,
    image: str,
    command: list[str],
    claims: dict[str, str],
    config_maps: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Returns a pod that passes Pod Security `restricted`.

    `claims` and `config_maps` give mount points by name of the claim or ConfigMap.
    """
    mounted = [*_claim_volumes(claims), *_config_volumes(config_maps or {})]
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 - an emptyDir of the pod
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *(mount for _, mount in mounted)],  # noqa: S108
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}, *(volume for volume, _ in mounted)],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _claim_volumes(claims: dict[str, str]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [
        (
            {"name": name, "persistentVolumeClaim": {"claimName": name}},
            {"name": name, "mountPath": path},
        )
        for name, path in claims.items()
    ]


def _config_volumes(config_maps: dict[str, str]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [
        ({"name": name, "configMap": {"name": name}}, {"name": name, "mountPath": path})
        for name, path in config_maps.items()
    ]
