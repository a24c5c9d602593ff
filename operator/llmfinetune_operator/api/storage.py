"""The volume of a fine-tune."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from llmfinetune_operator.api.fields import Memory, ObjectName
from llmfinetune_trainer.config.base import Frozen
from llmfinetune_trainer.config.run import rules

DEFAULT_STORAGE_SIZE = "10Gi"
_CLAIM = "storage.existingClaim excludes size, storageClassName and accessModes: remove them or existingClaim"


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
    """A PersistentVolumeClaim of yours, used below a directory with the fine-tune's name, never deleted."""
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
