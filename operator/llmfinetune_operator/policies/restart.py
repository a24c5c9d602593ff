"""Fields that running workers cannot take over: with a change of them the next attempt resumes."""

from typing import Any

from llmfinetune_operator.api.changes import CHANGES, change_class
from llmfinetune_operator.api.v1alpha1 import LLMFineTuneSpec
from llmfinetune_operator.constants import ANNOTATION_TEMPLATE_HASH
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies.view import View, annotation
from llmfinetune_operator.resources.content_hash import content_hash


def restart_hash(spec: LLMFineTuneSpec) -> str:
    """Hash of the restart-class fields as the user wrote them.

    Taken from the spec and not from the pod template, so that an upgrade of the operator, which may build
    templates otherwise, restarts nobody; and without defaults, so that neither do fields that are new in it.
    """
    given = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return content_hash(_restart_fields(given, ""))


def _restart_fields(value: dict[str, Any], prefix: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, dict) and any(declared.startswith(f"{path}.") for declared in CHANGES):
            if below := _restart_fields(inner, f"{path}."):
                kept[key] = below
        elif change_class(path) == "restart":
            kept[key] = inner
    return kept


def needs_restart(view: View, job: Object) -> bool:
    """Whether the live job was made from other restart-class fields. A missing hash will be put back."""
    live = annotation(job, ANNOTATION_TEMPLATE_HASH)
    return live is not None and live != restart_hash(view.spec)
