"""The status of a fine-tune whose spec this version of the operator does not understand."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from llmfinetune_operator.api.v1alpha1 import Condition, ConditionStatus
from llmfinetune_operator.observed import Observed
from llmfinetune_operator.policies.trouble import MAX_TEXT, shorten
from llmfinetune_operator.policies.view import parse_status
from llmfinetune_operator.times import format_time
from llmfinetune_trainer.config.redaction import redact

REASON = "InvalidSpec"


def invalid_spec(observed: Observed, error: ValidationError, now: datetime) -> dict[str, Any]:
    """The stored status, with conditions that name every field at fault. Children stay as they are."""
    previous = parse_status(observed.fine_tune)
    generation = observed.fine_tune["metadata"].get("generation", 1)
    message = shorten(redact("; ".join(_problems(error))), MAX_TEXT)
    known = {condition.type: condition for condition in previous.conditions}
    for kind, status in _SUMMARY.items():
        before = known.get(kind)
        known[kind] = Condition(
            type=kind,
            status=status,
            reason=REASON,
            message=message,
            last_transition_time=(
                before.last_transition_time if before and before.status == status else format_time(now)
            ),
            observed_generation=generation,
        )
    changed = previous.model_copy(
        update={
            "observed_generation": generation,
            "phase": previous.phase or "Pending",
            "conditions": list(known.values()),
        }
    )
    return changed.model_dump(mode="json", by_alias=True, exclude_none=True)


_SUMMARY: dict[str, ConditionStatus] = {"Ready": "False", "Reconciling": "False", "Stalled": "True"}


def _problems(error: ValidationError) -> list[str]:
    return [f"spec.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)]
