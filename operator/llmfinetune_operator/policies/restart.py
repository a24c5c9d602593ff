"""Fields that running workers cannot take over: a change ends the job, and the next attempt resumes with
them."""

from typing import Any

from llmfinetune_operator.api.v1alpha1 import LLMFineTuneSpec
from llmfinetune_operator.constants import ANNOTATION_TEMPLATE_HASH
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies.view import View, annotation
from llmfinetune_operator.resources.content_hash import content_hash


def restart_hash(spec: LLMFineTuneSpec) -> str:
    """Hash of the restart-class fields as the user wrote them.

    Taken from the spec and not from the pod template, so that an upgrade of the operator, which may build
    templates otherwise, restarts nobody.
    """
    workers = spec.workers.model_dump(mode="json", exclude={"replicas"})
    runtime = spec.runtime.model_dump(mode="json", include={"image", "env"})
    fields: dict[str, Any] = {"workers": workers, "runtime": runtime}
    return content_hash({**fields, "priority": spec.run_policy.priority_class_name})


def needs_restart(view: View, job: Object) -> bool:
    """Whether the live job was made from other restart-class fields. A hash that is missing will be put
    back."""
    live = annotation(job, ANNOTATION_TEMPLATE_HASH)
    return live is not None and live != restart_hash(view.spec)
