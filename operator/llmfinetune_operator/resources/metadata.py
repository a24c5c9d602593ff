"""What the metadata of all children has in common: names, labels, and the owner that takes them along."""

from dataclasses import dataclass
from typing import Any

from llmfinetune_operator.constants import API_VERSION, KIND
from llmfinetune_operator.observed import Object
from llmfinetune_operator.resources import labels


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Identity of the fine-tune that children belong to."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, fine_tune: Object) -> "Owner":
        """Identity of a stored LLMFineTune."""
        metadata = fine_tune["metadata"]
        return cls(namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"])

    def reference(self) -> dict[str, Any]:
        """The ownerReference through which the garbage collector removes a child with its fine-tune."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def child_metadata(owner: Owner, name: str, *, component: str | None = None) -> dict[str, Any]:
    """Metadata of an owned child; jobs say which component they run."""
    own = labels.of_component(owner.name, component) if component else labels.common(owner.name)
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": own,
        "ownerReferences": [owner.reference()],
    }
