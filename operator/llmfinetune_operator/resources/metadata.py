"""What the metadata of all children has in common: names, labels, and the owner that takes them along."""

from dataclasses import dataclass
from typing import Any

from llmfinetune_operator.constants import (
    API_VERSION,
    FIELD_MANAGER,
    KIND,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_QUEUE,
)
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

    def owns(self, obj: Object) -> bool:
        """Whether a live object with a child's name is controlled by this fine-tune, or has no controller and
        carries its label or this operator's marks.

        A retained claim is of the second kind, also one that an earlier fine-tune of this name left behind.
        It holds all work: whoever edits its labels does not take it away.
        """
        metadata = obj["metadata"]
        controllers = [each for each in metadata.get("ownerReferences") or () if each.get("controller")]
        if controllers:
            return bool(controllers[0].get("uid") == self.uid)
        return (metadata.get("labels") or {}).get(LABEL_NAME) == self.name or _is_made_here(metadata)

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


def _is_made_here(metadata: Object) -> bool:
    """Whether this operator made the object; the second sign is only in what is read, not in the store."""
    managers = {each.get("manager") for each in metadata.get("managedFields") or ()}
    return (metadata.get("labels") or {}).get(LABEL_MANAGED_BY) == labels.MANAGER or FIELD_MANAGER in managers


def child_metadata(
    owner: Owner, name: str, *, component: str | None = None, queue: str | None = None
) -> dict[str, Any]:
    """Metadata of an owned child; jobs say which component they run, and which queue they wait in."""
    own = labels.of_component(owner.name, component) if component else labels.common(owner.name)
    if queue is not None:
        own[LABEL_QUEUE] = queue
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": own,
        "ownerReferences": [owner.reference()],
    }
