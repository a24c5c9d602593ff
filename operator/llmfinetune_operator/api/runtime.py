"""The runtime: what the computation runs on, and the environment it finds."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from llmfinetune_operator.api.fields import ObjectName
from llmfinetune_trainer.config.base import Frozen
from llmfinetune_trainer.config.run import RuntimeConfig, rules

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


class ImagePullSecret(Frozen):
    """A Secret of the fine-tune's namespace, of type kubernetes.io/dockerconfigjson. It is never read."""

    name: ObjectName
    """Name of the Secret."""


class RuntimeSpec(RuntimeConfig):
    """What the computation runs on."""

    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\s]+$")] | None = None
    """Image of the trainer; without it, the operator's default image."""
    image_pull_secrets: list[ImagePullSecret] = Field(
        default=[],
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Secrets with which nodes pull the image from a private registry, as `kubectl create secret
    docker-registry` makes them; without any, those of the operator's installation."""
    env: list[EnvVar] = Field(
        default=[],
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Environment variables for the trainer. Plain values, never secrets."""
