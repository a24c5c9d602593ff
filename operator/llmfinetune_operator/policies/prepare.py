"""What to do with the prepare Job: make it, keep it as it should be, or replace it."""

from dataclasses import dataclass

from llmfinetune_operator.constants import ANNOTATION_TEMPLATE_HASH
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.preparation import Preparation
from llmfinetune_operator.policies.view import View, annotation


@dataclass(frozen=True, kw_only=True)
class PrepareStep:
    """What this cycle does about the prepare Job."""

    apply: bool = False
    delete: bool = False


def prepare_step(view: View, state: Preparation, desired: Object, *, usable: bool) -> PrepareStep:
    """Judges the live Job beside the desired one. `usable` tells whether pods can wait for the volume."""
    job = view.prepare_job
    if job is None:
        return PrepareStep(apply=state is Preparation.MISSING and usable and not view.suspended)
    if pods.is_leaving(job):
        return PrepareStep()
    if state is Preparation.OUTDATED:
        return PrepareStep(delete=True)
    if state is Preparation.RUNNING:
        is_other = annotation(job, ANNOTATION_TEMPLATE_HASH) not in {None, _hash(desired)}
        return PrepareStep(apply=not is_other, delete=is_other)
    return PrepareStep()


def _hash(job: Object) -> str | None:
    return annotation(job, ANNOTATION_TEMPLATE_HASH)
