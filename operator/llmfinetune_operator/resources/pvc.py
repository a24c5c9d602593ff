"""The fine-tune's volume claim: prepared data, checkpoints and results."""

from collections.abc import Sequence
from typing import Any

from llmfinetune_operator.resources import names
from llmfinetune_operator.resources.metadata import Owner, child_metadata


def volume_claim(
    owner: Owner,
    *,
    size: str,
    storage_class_name: str | None,
    access_modes: Sequence[str],
    retain: bool,
) -> dict[str, Any]:
    """The fine-tune's own claim. A retained one has no owner, so that it outlives the fine-tune."""
    metadata = child_metadata(owner, names.claim(owner.name))
    if retain:
        metadata["ownerReferences"] = []
    spec: dict[str, Any] = {
        "accessModes": list(access_modes),
        "resources": {"requests": {"storage": size}},
    }
    if storage_class_name is not None:
        spec["storageClassName"] = storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": spec,
    }
