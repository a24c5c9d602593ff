"""Objects that have a child's name and belong to somebody else are left alone."""

from datetime import timedelta

from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names

_REMOVE = "give the fine-tune another name, or remove that object"
_KEEP = (
    "give the fine-tune another name; one that is to work on that claim names it in storage.existingClaim. "
    "What the claim holds stays as it is"
)


def name_trouble(view: View) -> Trouble | None:
    """The first child whose name is taken by an object of somebody else. No watch tells when it is gone."""
    for ref in names.child_refs(view.observed.fine_tune):
        if ref not in view.observed.children or view.child(ref) is not None:
            continue
        return Trouble(
            failure=failure(
                "UserError",
                "NameTaken",
                f"{ref.kind} {ref.name!r} exists and belongs to something else",
                hint=_KEEP if ref.kind == "PersistentVolumeClaim" else _REMOVE,
                retryable=True,
            ),
            wake_at=view.now + timedelta(seconds=view.settings.refused_retry_seconds),
        )
    return None
