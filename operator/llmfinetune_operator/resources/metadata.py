"""What the metadata of all children has in common: names, labels, and the owner that takes them along."""

from dataclasses import dataclass
from typing import Any

from llmfinetune_operator.constants import API_VERSION, KIND, LABEL_NAME, LABEL_QUEUE
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
        """Whether a live object is controlled by this fine-tune, or carries its label and has no controller.

        A claim that an earlier fine-tune of this name left behind is of the second kind.
        """
        metadata = obj["metadata"]
        controllers = [each for each in metadata.get("ownerReferences") or () if each.get("controller")]
        if controllers:
            return bool(controllers[0].get("uid") == self.uid)
        return bool((metadata.get("labels") or {}).get(LABEL_NAME) == self.name)

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
