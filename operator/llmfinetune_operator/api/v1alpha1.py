"""Version v1alpha1 of LLMFineTune: its types, and the run configuration that a spec stands for."""

from llmfinetune_operator.api.runtime import EnvVar, ImagePullSecret, RuntimeSpec
from llmfinetune_operator.api.spec import LLMFineTuneSpec, RunPolicy
from llmfinetune_operator.api.status import (
    Condition,
    ConditionStatus,
    FailureStatus,
    FineTunePhase,
    LLMFineTuneStatus,
    LossPoint,
    Metrics,
    Output,
    Progress,
    Remedy,
    RoomStatus,
    WorkersStatus,
)
from llmfinetune_operator.api.storage import StorageSpec
from llmfinetune_operator.api.workers import Resources, Toleration, WorkersSpec
from llmfinetune_trainer.config.run import RunConfig, RuntimeConfig

__all__ = [
    "Condition",
    "ConditionStatus",
    "EnvVar",
    "FailureStatus",
    "FineTunePhase",
    "ImagePullSecret",
    "LLMFineTuneSpec",
    "LLMFineTuneStatus",
    "LossPoint",
    "Metrics",
    "Output",
    "Progress",
    "Remedy",
    "Resources",
    "RoomStatus",
    "RunPolicy",
    "RuntimeSpec",
    "StorageSpec",
    "Toleration",
    "WorkersSpec",
    "WorkersStatus",
    "run_config",
]


def run_config(name: str, namespace: str, spec: LLMFineTuneSpec, *, origin: str | None = None) -> RunConfig:
    """Return what the trainer computes for this spec, whatever its workers, storage and policies.

    `origin` is the source that `resumeFrom.fineTune` stands for, once that is known.
    """
    values = spec.model_dump()
    computed = {field: values[field] for field in RunConfig.model_fields if field in values}
    computed["runtime"] = {field: values["runtime"][field] for field in RuntimeConfig.model_fields}
    if origin is not None:
        computed["resume_from"] |= {"fine_tune": None, "source": origin}
    return RunConfig.model_validate({"name": name, "namespace": namespace} | computed)
