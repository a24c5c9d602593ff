"""The spec: the trainer's run configuration, and what only a cluster needs beside it."""

from datetime import timedelta
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from llmfinetune_operator.api.durations import Duration, parse_duration
from llmfinetune_operator.api.fields import ClusterSource, ObjectName, QueueName, VolumeSource
from llmfinetune_operator.api.runtime import RuntimeSpec
from llmfinetune_operator.api.storage import StorageSpec
from llmfinetune_operator.api.workers import WorkersSpec
from llmfinetune_trainer.config.base import Frozen
from llmfinetune_trainer.config.run import (
    NOTHING_HELD_OUT,
    CheckpointConfig,
    DatasetConfig,
    EvaluationConfig,
    MethodConfig,
    ModelConfig,
    OutputConfig,
    ResumeConfig,
    TrainingConfig,
    check_held_out,
    rules,
)

_BATCH = (
    "workers.replicas is more than training.batchSize, so some workers would get no sample: "
    "raise batchSize or lower replicas"
)
_ONE_POD = (
    "a ReadWriteOncePod volume is for one pod, and workers.replicas is more: set replicas to 1, or take "
    "ReadWriteOnce (workers on one node) or ReadWriteMany (workers on several)"
)


class ModelSpec(ModelConfig):
    """The pretrained model to start from."""

    source: ClusterSource
    """Where the model comes from: `hf://owner/name`, `pvc://claim/path`, `https://…#sha256=…` or `configMap://name/key`.
    A directory with safetensors weights, or one GGUF file."""


class DatasetSpec(DatasetConfig):
    """The examples to learn from."""

    source: ClusterSource
    """Where the data comes from: `hf://owner/name[/file]`, `pvc://claim/path`, `https://…#sha256=…` or
    `configMap://name/key`. JSON, JSON Lines, CSV, Parquet, text, or what `datasets.save_to_disk` writes."""


def _exactly_one(schema: dict[str, Any]) -> None:
    """Replace what is required by a rule that says what to do."""
    schema.pop("required")
    schema.update(rules(("has(self.lora)", "choose exactly one method: set spec.method.lora")))


class MethodSpec(MethodConfig):
    """How the model is changed. Exactly one method."""

    model_config = ConfigDict(json_schema_extra=_exactly_one)


class ResumeSpec(ResumeConfig):
    """Another fine-tune's work to start from."""

    source: VolumeSource | None = None
    """Instead of fineTune, `pvc://claim/path`: a fine-tune's volume, one checkpoint on it, or for warmStart
    an adapter's directory as peft saves it."""


class RunPolicy(Frozen):
    """When the run pauses, gives up or yields to others."""

    suspend: bool = False
    """Whether the run is paused: a checkpoint is written, pods go, and false resumes from there."""
    max_restarts: int = Field(default=10, ge=0, le=1000)
    """How many times training starts again after failures that may pass; changes of the spec do not count."""
    active_deadline: Duration | None = None
    """Longest time that the fine-tune may be active, such as 12h or 1h30m: all attempts together, times of
    suspension and in a queue left out. Without it there is no limit."""
    ttl_after_finished: Duration | None = None
    """How long after its end jobs, pods and configuration stay, such as 24h; then they are removed, and so is
    the volume unless storage.retain is true. Results stay in the status. Without it everything stays."""
    queue_name: QueueName | None = None
    """Kueue's LocalQueue that the jobs wait in: it says when they run, and where. Another number of workers
    is another job, which waits anew."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods; without it, the cluster's default."""

    @property
    def active_deadline_span(self) -> timedelta | None:
        """The deadline as a time span."""
        return parse_duration(self.active_deadline) if self.active_deadline else None

    @property
    def ttl_span(self) -> timedelta | None:
        """The time to live after the end as a time span."""
        return parse_duration(self.ttl_after_finished) if self.ttl_after_finished else None


class LLMFineTuneSpec(Frozen):
    """What to fine-tune, on what data, how, and with which resources."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.workers.replicas <= self.training.batchSize", _BATCH),
            (
                "!has(self.evaluation.everySteps) || self.dataset.validationSplit > 0.0",
                NOTHING_HELD_OUT,
            ),
            (
                "self.workers.replicas == 1 || !has(self.storage.accessModes) || "
                "!('ReadWriteOncePod' in self.storage.accessModes)",
                _ONE_POD,
            ),
        )
    )

    model: ModelSpec
    dataset: DatasetSpec
    method: MethodSpec
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    output: OutputConfig = OutputConfig()
    resume_from: ResumeSpec | None = None
    workers: WorkersSpec = WorkersSpec()
    runtime: RuntimeSpec = RuntimeSpec()
    storage: StorageSpec = StorageSpec()
    run_policy: RunPolicy = RunPolicy()

    @model_validator(mode="after")
    def _samples_for_all(self) -> Self:
        if self.workers.replicas > self.training.batch_size:
            raise ValueError(_BATCH)
        return self

    @model_validator(mode="after")
    def _something_to_evaluate_on(self) -> Self:
        check_held_out(self.dataset, self.evaluation)
        return self

    @model_validator(mode="after")
    def _volume_for_all(self) -> Self:
        if self.workers.replicas > 1 and "ReadWriteOncePod" in (self.storage.access_modes or ()):
            raise ValueError(_ONE_POD)
        return self
