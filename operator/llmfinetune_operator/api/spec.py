"""The spec: the trainer's run configuration, and what only a cluster needs beside it."""

import math
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from llmfinetune_operator.api.fields import (
    LABEL_KEY,
    LABEL_VALUE,
    ClusterSource,
    Cpu,
    Duration,
    Memory,
    NodeSelector,
    ObjectName,
    parse_cpu,
    parse_duration,
    parse_memory,
)
from llmfinetune_trainer.config.base import Frozen
from llmfinetune_trainer.config.run import (
    CheckpointConfig,
    DatasetConfig,
    EvaluationConfig,
    MethodConfig,
    ModelConfig,
    RuntimeConfig,
    TrainingConfig,
    rules,
)

MAX_WORKERS = 999
DEFAULT_STORAGE_SIZE = "10Gi"
RESERVED_ENV_PREFIXES = ("KUBEFLOW_TRAINER_", "LLMFINETUNE_", "PET_")
RESERVED_ENV_NAMES = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "LOCAL_RANK",
    "MASTER_ADDR",
    "MASTER_PORT",
    "RANK",
    "WORLD_SIZE",
)
_RESERVED = (
    "reserved: KUBEFLOW_TRAINER_*, LLMFINETUNE_*, PET_* and torch's ranks and addresses are set by the "
    "operator, and a Hugging Face token belongs into spec.model.tokenSecretRef"
)
_WORKERS_BELOW_MAX = "workers.replicas is more than workers.maxReplicas: raise maxReplicas or lower replicas"
_WORKERS_ABOVE_MIN = "workers.replicas is less than workers.minReplicas: lower minReplicas or raise replicas"
_BATCH = (
    "workers.replicas is more than training.batchSize, so some workers would get no sample: "
    "raise batchSize or lower replicas"
)
_CLAIM = "storage.existingClaim excludes size, storageClassName and accessModes: remove them or existingClaim"
_REQUEST = "resources.requests.{0} is more than resources.limits.{0}: lower the request or raise the limit"


class ModelSpec(ModelConfig):
    """The pretrained model to start from."""

    source: ClusterSource
    """Where the model comes from: `hf://owner/name`, `pvc://claim/path`, `https://…#sha256=…` or `configMap://name/key`.
    A directory with safetensors weights, or one GGUF file."""


class DatasetSpec(DatasetConfig):
    """The examples to learn from."""

    source: ClusterSource
    """Where the data comes from: `hf://owner/name[/file]`, `pvc://claim/path`, `https://…#sha256=…` or
    `configMap://name/key`. JSON, JSON Lines, CSV, Parquet or text."""


def _exactly_one(schema: dict[str, Any]) -> None:
    """Replace what is required by a rule that says what to do."""
    schema.pop("required")
    schema.update(rules(("has(self.lora)", "choose exactly one method: set spec.method.lora")))


class MethodSpec(MethodConfig):
    """How the model is changed. Exactly one method."""

    model_config = ConfigDict(json_schema_extra=_exactly_one)


class ResourceRequests(Frozen):
    """What a worker is sure to get; the scheduler looks for a node that has it free."""

    cpu: Cpu = "1"
    """Processor cores, such as 2, 0.5 or 500m."""
    memory: Memory = "2Gi"
    """Memory, such as 4Gi or 1500M."""


class ResourceLimits(Frozen):
    """What a worker can use at most."""

    cpu: Cpu | None = None
    """Processor cores, such as 2, 0.5 or 500m; without it a worker uses as many threads as it
    requests cores."""
    memory: Memory | None = None
    """Memory, such as 4Gi or 1500M; a worker that needs more is ended and started again."""


def _within(name: str) -> tuple[str, str]:
    rule = (
        f"!has(self.limits.{name}) || "
        f"quantity(string(self.requests.{name})).compareTo(quantity(string(self.limits.{name}))) <= 0"
    )
    return rule, _REQUEST.format(name)


class Resources(Frozen):
    """Processor and memory of each worker."""

    model_config = ConfigDict(json_schema_extra=rules(_within("cpu"), _within("memory")))

    requests: ResourceRequests = ResourceRequests()
    limits: ResourceLimits = ResourceLimits()

    @property
    def threads(self) -> int:
        """Compute threads of one worker: its cores, by limit or else by request, at least one."""
        return max(1, math.floor(parse_cpu(self.limits.cpu or self.requests.cpu)))

    @model_validator(mode="after")
    def _requests_within_limits(self) -> Self:
        if self.limits.cpu and parse_cpu(self.requests.cpu) > parse_cpu(self.limits.cpu):
            raise ValueError(_REQUEST.format("cpu"))
        if self.limits.memory and parse_memory(self.requests.memory) > parse_memory(self.limits.memory):
            raise ValueError(_REQUEST.format("memory"))
        return self


class Toleration(Frozen):
    """A taint of nodes that workers put up with."""

    key: Annotated[str, Field(max_length=317, pattern=LABEL_KEY)] | None = None
    """Key of the taint; without it, and with operator Exists, every taint is meant."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Whether the taint's value must be equal, or only its key must exist."""
    value: Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)] | None = None
    """Value of the taint (operator Equal)."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; without it every effect is meant."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """How long a pod stays on a node that gets the taint (effect NoExecute); without it, for ever."""


class WorkersSpec(Frozen):
    """How many workers train together, and where they run. The results do not depend on their number."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.minReplicas <= self.replicas", _WORKERS_ABOVE_MIN),
            ("!has(self.maxReplicas) || self.replicas <= self.maxReplicas", _WORKERS_BELOW_MAX),
        )
    )

    replicas: int = Field(default=1, ge=1, le=MAX_WORKERS)
    """Workers wanted now. `kubectl scale` changes it while training runs."""
    min_replicas: int = Field(default=1, ge=1, le=MAX_WORKERS)
    """Training goes on while at least this many workers are there."""
    max_replicas: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | None = None
    """The most workers that replicas may ask for; without it, 999."""
    resources: Resources = Resources()
    node_selector: NodeSelector = Field(default={})
    """Labels that a node must have for workers to run on it."""
    tolerations: list[Toleration] = Field(default=[], max_length=32)
    """Taints of nodes that workers put up with."""

    @property
    def scale_limit(self) -> int:
        """The most workers that `replicas` may ever ask for."""
        return self.max_replicas or MAX_WORKERS

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.replicas < self.min_replicas:
            raise ValueError(_WORKERS_ABOVE_MIN)
        if self.replicas > self.scale_limit:
            raise ValueError(_WORKERS_BELOW_MAX)
        return self


def _env_rule() -> tuple[str, str]:
    prefixes = [f"!self.name.startsWith('{prefix}')" for prefix in RESERVED_ENV_PREFIXES]
    names = ", ".join(f"'{name}'" for name in RESERVED_ENV_NAMES)
    return " && ".join([*prefixes, f"!(self.name in [{names}])"]), _RESERVED


class EnvVar(Frozen):
    """One plain environment variable. Everybody who reads the resource sees it: never a secret."""

    model_config = ConfigDict(json_schema_extra=rules(_env_rule()))

    name: str = Field(min_length=1, max_length=256, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the variable. Names that the operator sets itself are refused."""
    value: str = Field(default="", max_length=4096)
    """Value of the variable, passed on as it is."""

    @model_validator(mode="after")
    def _not_reserved(self) -> Self:
        if self.name.startswith(RESERVED_ENV_PREFIXES) or self.name in RESERVED_ENV_NAMES:
            raise ValueError(f"{self.name} is {_RESERVED}")
        return self


class RuntimeSpec(RuntimeConfig):
    """What the computation runs on."""

    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\s]+$")] | None = None
    """Image of the trainer; without it, the operator's default image."""
    env: list[EnvVar] = Field(
        default=[],
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Environment variables for the trainer. Plain values, never secrets."""


class StorageSpec(Frozen):
    """The volume that holds downloads, prepared data, checkpoints and the adapter."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.existingClaim)"
                " || !(has(self.size) || has(self.storageClassName) || has(self.accessModes))",
                _CLAIM,
            )
        )
    )

    size: Memory | None = None
    """Size of the volume that is claimed, such as 20Gi; without it 10Gi. Not together with existingClaim."""
    storage_class_name: ObjectName | None = None
    """Storage class of the volume; without it, the cluster's default. Not together with existingClaim."""
    access_modes: (
        Annotated[
            list[Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"]],
            Field(min_length=1, max_length=3),
        ]
        | None
    ) = None
    """How nodes may share the volume; without it ReadWriteOnce. Workers on several nodes need ReadWriteMany.
    Not together with existingClaim."""
    existing_claim: ObjectName | None = None
    """A PersistentVolumeClaim that exists already, used below a directory with the fine-tune's name. It is
    never deleted."""
    retain: bool = True
    """Whether the volume stays when the fine-tune is deleted."""

    @property
    def claim_size(self) -> str:
        """Size of the claim to make."""
        return self.size or DEFAULT_STORAGE_SIZE

    @property
    def claim_access_modes(self) -> list[str]:
        """Access modes of the claim to make."""
        return list(self.access_modes or ["ReadWriteOnce"])

    @model_validator(mode="after")
    def _one_claim(self) -> Self:
        if self.existing_claim and (self.size or self.storage_class_name or self.access_modes):
            raise ValueError(_CLAIM)
        return self


class RunPolicy(Frozen):
    """When the run pauses, gives up or yields to others."""

    suspend: bool = False
    """Whether the run is paused: a checkpoint is written, pods go, and false resumes from there."""
    max_restarts: int = Field(default=10, ge=0, le=1000)
    """How many times training starts again after failures that may pass; changes of the spec do not count."""
    active_deadline: Duration | None = None
    """Longest time from the start to the end, such as 12h or 1h30m; without it there is no limit."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods; without it, the cluster's default."""

    @property
    def active_deadline_span(self) -> timedelta | None:
        """The deadline as a time span."""
        return parse_duration(self.active_deadline) if self.active_deadline else None


class LLMFineTuneSpec(Frozen):
    """What to fine-tune, on what data, how, and with which resources."""

    model_config = ConfigDict(
        json_schema_extra=rules(("self.workers.replicas <= self.training.batchSize", _BATCH))
    )

    model: ModelSpec
    dataset: DatasetSpec
    method: MethodSpec
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    workers: WorkersSpec = WorkersSpec()
    runtime: RuntimeSpec = RuntimeSpec()
    storage: StorageSpec = StorageSpec()
    run_policy: RunPolicy = RunPolicy()

    @model_validator(mode="after")
    def _samples_for_all(self) -> Self:
        if self.workers.replicas > self.training.batch_size:
            raise ValueError(_BATCH)
        return self
