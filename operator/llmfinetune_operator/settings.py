"""What an installation of the operator is set to: one frozen value, read once at start-up."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from llmfinetune_operator.api.fields import ObjectName
from llmfinetune_operator.constants import PROGRESS_PATH, PROGRESS_PORT

ENVIRONMENT_PREFIX = "LLMFINETUNE_"


def _split(value: object) -> object:
    """A variable's text as a list: parts with commas between them."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[ObjectName, ...], BeforeValidator(_split)]
"""Names of objects, in a variable with commas between them."""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{ENVIRONMENT_PREFIX}{name.upper()}"


class Settings(BaseModel):
    """Settings of the operator. The field `trainer_image` is read from `LLMFINETUNE_TRAINER_IMAGE`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    trainer_image: str = Field(min_length=1)
    """Image of prepare and worker pods where `spec.runtime.image` names none."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """Pull policy of prepare and worker pods."""
    image_pull_secrets: Names = ()
    """Names of Secrets, with commas between them, with which nodes pull the image in any namespace where
    `spec.runtime.imagePullSecrets` names none. Those that are missing in a namespace are passed over."""
    operator_namespace: str = Field(default="llmfinetune-system", min_length=1)
    """Namespace of the operator, in which the progress Service lies."""
    progress_service: str = Field(default="llmfinetune-operator", min_length=1)
    """Name of the Service in front of the progress endpoint."""
    progress_port: int = Field(default=PROGRESS_PORT, ge=1, le=65535)
    """Port of that Service."""
    cluster_domain: str = Field(default="cluster.local", min_length=1)
    """DNS domain of the cluster."""
    resync_seconds: float = Field(default=600.0, gt=0)
    """Every fine-tune is looked at again after this long, whatever events came."""
    watch_silence_seconds: float = Field(default=70.0, gt=0)
    """A watch that says nothing for this long is begun anew. The API server says something once a minute."""
    status_interval_seconds: float = Field(default=5.0, ge=0)
    """Least time between two status writes that tell nothing but new figures of training."""
    unschedulable_grace_seconds: float = Field(default=30.0, ge=0)
    """How long a pod may wait for a node before a condition says so."""
    room_retry_seconds: float = Field(default=60.0, gt=0)
    """Wait before workers that found no room are asked for again; every further one is twice as long."""
    room_retry_max_seconds: float = Field(default=1800.0, gt=0)
    """Longest such wait."""
    image_pull_grace_seconds: float = Field(default=600.0, ge=0)
    """How long an image may fail to be pulled before the fine-tune fails."""
    result_grace_seconds: float = Field(default=20.0, ge=0)
    """How long the result of a succeeded job may be on its way before its workers run again."""
    retry_delay_seconds: float = Field(default=10.0, gt=0)
    """Wait before the first retry of failed workers; every further one waits twice as long."""
    retry_delay_max_seconds: float = Field(default=300.0, gt=0)
    """Longest wait before a retry."""
    stall_steps: float = Field(default=20.0, ge=2.0, le=10_000.0)
    """Workers have stalled when no step ended for as long as this many steps took before."""
    stall_seconds: float = Field(default=900.0, ge=60.0, le=86_400.0)
    """Workers have not stalled before this long without a step, however short steps are."""
    stall_start_seconds: float = Field(default=3600.0, ge=120.0, le=604_800.0)
    """Workers that start and load the model have not stalled before this long without a first report."""
    refused_retry_seconds: float = Field(default=15.0, gt=0)
    """When what the API server refused, or could not serve, is tried again."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Builds the settings from environment variables; those that are unset or empty take their default.

        Raises:
            ValueError: a variable is missing or has no valid value; the message names each of them.
        """
        variables = {name: variable(name) for name in cls.model_fields}
        given = {name: env[variable] for name, variable in variables.items() if env.get(variable)}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            problems = (f"{variables[str(e['loc'][0])]}: {e['msg']}" for e in error.errors(include_url=False))
            raise ValueError(f"the operator's environment is not valid: {'; '.join(problems)}") from error

    @property
    def progress_host(self) -> str:
        """DNS name of the progress Service, as pods resolve it and as its certificate must name it."""
        return f"{self.progress_service}.{self.operator_namespace}.svc.{self.cluster_domain}"

    def progress_url(self, *, namespace: str, name: str) -> str:
        """Where the trainers of one fine-tune report to."""
        path = PROGRESS_PATH.format(namespace=namespace, name=name)
        return f"https://{self.progress_host}:{self.progress_port}{path}"
