"""The workers: how many, how large, and on which nodes."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from llmfinetune_operator.api.durations import Wait, parse_duration
from llmfinetune_operator.api.fields import LABEL_KEY, LABEL_VALUE, Cpu, Memory, NodeSelector
from llmfinetune_trainer.config.base import Frozen
from llmfinetune_trainer.config.quantity import quantity
from llmfinetune_trainer.config.run import rules

MAX_WORKERS = 999
_WORKERS_BELOW_MAX = "workers.replicas is more than workers.maxReplicas: raise maxReplicas or lower replicas"
_WORKERS_ABOVE_MIN = "workers.replicas is less than workers.minReplicas: lower minReplicas or raise replicas"
_REQUEST = "resources.requests.{0} is more than resources.limits.{0}: lower the request or raise the limit"


class ResourceRequests(Frozen):
    """What a worker is sure to get; the scheduler looks for a node that has it free."""

    cpu: Cpu = "1"
    """Processor cores, such as 2, 0.5 or 500m."""
    memory: Memory = "2Gi"
    """Memory, such as 4Gi or 1500M."""


class ResourceLimits(Frozen):
    """What a worker can use at most."""

    cpu: Cpu | None = None
    """Processor cores, such as 2, 0.5 or 500m; without it a worker has a thread for each requested core."""
    memory: Memory | None = None
    """Memory, such as 4Gi or 1500M; a worker that needs more is ended and started again."""


def _within(name: str) -> tuple[str, str]:
    rule = (
        f"!has(self.limits.{name}) || "
        f"quantity(string(self.requests.{name})).compareTo(quantity(string(self.limits.{name}))) <= 0"
    )
    return rule, _REQUEST.format(name)


def _is_more(request: str, limit: str | None) -> bool:
    asked, most = quantity(request), quantity(limit)
    return asked is not None and most is not None and asked > most


class Resources(Frozen):
    """Processor and memory of each worker."""

    model_config = ConfigDict(json_schema_extra=rules(_within("cpu"), _within("memory")))

    requests: ResourceRequests = ResourceRequests()
    limits: ResourceLimits = ResourceLimits()

    @model_validator(mode="after")
    def _requests_within_limits(self) -> Self:
        if _is_more(self.requests.cpu, self.limits.cpu):
            raise ValueError(_REQUEST.format("cpu"))
        if _is_more(self.requests.memory, self.limits.memory):
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
    scheduling_timeout: Wait = "2m"
    """How long workers may wait for a node to run on before training goes on without them, if minReplicas are
    there. It grows back by itself."""
    resources: Resources = Resources()
    node_selector: NodeSelector = Field(default={})
    """Labels that a node must have for workers to run on it."""
    tolerations: list[Toleration] = Field(default=[], max_length=32)
    """Taints of nodes that workers put up with."""

    @property
    def scale_limit(self) -> int:
        """The most workers that `replicas` may ever ask for."""
        return self.max_replicas or MAX_WORKERS

    @property
    def scheduling_timeout_span(self) -> timedelta:
        """The time that workers may wait for a node."""
        return parse_duration(self.scheduling_timeout)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.replicas < self.min_replicas:
            raise ValueError(_WORKERS_ABOVE_MIN)
        if self.replicas > self.scale_limit:
            raise ValueError(_WORKERS_BELOW_MAX)
        return self
