"""What to do with the prepare Job: make it, keep it as it should be, or replace it."""

from dataclasses import dataclass

from llmfinetune_operator.constants import ANNOTATION_TEMPLATE_HASH, LABEL_QUEUE
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.preparation import Preparation
from llmfinetune_operator.policies.queueing import is_fixed
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
        return _running(view, job, desired)
    return PrepareStep()


def _running(view: View, job: Object, desired: Object) -> PrepareStep:
    is_other = annotation(job, ANNOTATION_TEMPLATE_HASH) not in {None, _hash(desired)}
    if is_other or _queue(job) != _queue(desired):
        return PrepareStep(delete=True)
    if is_fixed(view, job):
        return PrepareStep(delete=view.suspended)
    return PrepareStep(apply=True)


def _queue(job: Object) -> str | None:
    label: str | None = (job["metadata"].get("labels") or {}).get(LABEL_QUEUE)
    return label


def _hash(job: Object) -> str | None:
    return annotation(job, ANNOTATION_TEMPLATE_HASH)
