"""Version v1alpha1 of LLMFineTune: its types, and the run configuration that a spec stands for."""

from llmfinetune_operator.api.spec import (
    EnvVar,
    LLMFineTuneSpec,
    Resources,
    RunPolicy,
    RuntimeSpec,
    StorageSpec,
    Toleration,
    WorkersSpec,
)
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
    WorkersStatus,
)
from llmfinetune_trainer.config.run import RunConfig, RuntimeConfig

__all__ = [
    "Condition",
    "ConditionStatus",
    "EnvVar",
    "FailureStatus",
    "FineTunePhase",
    "LLMFineTuneSpec",
    "LLMFineTuneStatus",
    "LossPoint",
    "Metrics",
    "Output",
    "Progress",
    "Resources",
    "RunPolicy",
    "RuntimeSpec",
    "StorageSpec",
    "Toleration",
    "WorkersSpec",
    "WorkersStatus",
    "run_config",
]


def run_config(name: str, namespace: str, spec: LLMFineTuneSpec) -> RunConfig:
    """Return what the trainer computes for this spec, whatever its workers, storage and policies."""
    return RunConfig(
        name=name,
        namespace=namespace,
        model=spec.model,
        dataset=spec.dataset,
        method=spec.method,
        training=spec.training,
        evaluation=spec.evaluation,
        checkpoint=spec.checkpoint,
        runtime=RuntimeConfig(backend=spec.runtime.backend, communication=spec.runtime.communication),
    )
