"""`runPolicy.ttlAfterFinished`: after a while, children of a fine-tune that ended go; its status stays."""

from datetime import datetime

from llmfinetune_operator.observed import ChildRef, Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names
from llmfinetune_operator.times import parse_time


def expires_at(view: View) -> datetime | None:
    """When the children of a finished fine-tune go, None where they stay."""
    span = view.spec.run_policy.ttl_span
    ended_at = parse_time(view.previous.completion_time)
    return ended_at + span if span is not None and ended_at is not None else None


def has_expired(view: View) -> bool:
    """Whether the children are to be removed."""
    due = expires_at(view)
    return due is not None and view.now >= due


def expired_children(view: View) -> list[tuple[ChildRef, Object]]:
    """What is still there and has to go: all but a claim that is retained or belongs to somebody else."""
    return [
        (ref, live)
        for ref in names.child_refs(view.observed.fine_tune)
        if (live := view.child(ref)) is not None
        and not pods.is_leaving(live)
        and (ref.kind != "PersistentVolumeClaim" or _claim_goes(view))
    ]


def _claim_goes(view: View) -> bool:
    return view.spec.storage.existing_claim is None and not view.spec.storage.retain
