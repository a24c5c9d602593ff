"""Objects that have a child's name and belong to somebody else are left alone."""

from llmfinetune_operator.constants import LABEL_NAME
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names


def is_ours(obj: Object, view: View) -> bool:
    """Whether a live object is controlled by this fine-tune, or carries its label and has no controller.

    A claim that an earlier fine-tune of this name left behind is of the second kind.
    """
    metadata = obj["metadata"]
    controllers = [o for o in metadata.get("ownerReferences") or () if o.get("controller")]
    if controllers:
        return bool(controllers[0].get("uid") == view.owner.uid)
    return bool((metadata.get("labels") or {}).get(LABEL_NAME) == view.owner.name)


def name_trouble(view: View) -> Trouble | None:
    """The first child whose name is taken by an object of somebody else."""
    for ref in names.child_refs(view.observed.fine_tune):
        live = view.child(ref)
        if live is None or ref.name == view.spec.storage.existing_claim or is_ours(live, view):
            continue
        return Trouble(
            failure=failure(
                "UserError",
                "NameTaken",
                f"{ref.kind} {ref.name!r} exists and belongs to something else",
                hint="give the fine-tune another name, or remove that object",
                retryable=True,
            )
        )
    return None
