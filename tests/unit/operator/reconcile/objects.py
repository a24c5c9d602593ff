"""Objects as the API server returns them, as small as the shell needs them."""

from typing import Any

from llmfinetune_operator.constants import API_VERSION, KIND, LABEL_NAME
from llmfinetune_operator.observed import Key

KEY = Key("ml", "medical")


def fine_tune(*, version: int = 1, uid: str = "u1", **rest: Any) -> dict[str, Any]:
    metadata = {"name": "medical", "namespace": "ml", "uid": uid, "resourceVersion": str(version)}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": {}, **rest}


def child(
    kind: str = "ConfigMap",
    *,
    api_version: str = "v1",
    name: str = "medical-run",
    version: int = 1,
    uid: str = "c1",
    label: str | None = "medical",
    **rest: Any,
) -> dict[str, Any]:
    labels = {LABEL_NAME: label} if label else {}
    metadata = {
        "name": name,
        "namespace": "ml",
        "uid": uid,
        "resourceVersion": str(version),
        "labels": labels,
        **rest.pop("metadata", {}),
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def claim(name: str = "medical", **rest: Any) -> dict[str, Any]:
    bound = {"phase": "Bound"}
    return child("PersistentVolumeClaim", name=name, **{"uid": "claim", "status": bound, **rest})


def pod(
    name: str = "medical-worker-0", *, uid: str = "p1", phase: str = "Running", **rest: Any
) -> dict[str, Any]:
    return child("Pod", name=name, uid=uid, status={"phase": phase}, **rest)
