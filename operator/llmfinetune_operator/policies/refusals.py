"""What the API server would not take: a quota, an admission webhook that refuses or is away, a bad name."""

from datetime import timedelta

from llmfinetune_operator.observed import ChildRef
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_trainer.config.messages import Category

REASON = "ApplyRefused"


def refusal(view: View) -> Trouble | None:
    """The first child that the API server refused in the last cycle. It is tried again."""
    refused = next(iter(view.observed.apply_errors.items()), None)
    if refused is None:
        return None
    ref, message = refused
    return Trouble(
        failure=failure(
            _category(ref, message),
            REASON,
            f"the API server refused {ref.kind} {ref.name!r}: {message}",
            hint="correct what the message names; it is tried again by itself",
            retryable=True,
        ),
        wake_at=view.now + timedelta(seconds=view.settings.refused_retry_seconds),
    )


def _category(ref: ChildRef, message: str) -> Category:
    if "quota" in message:
        return "Scheduling"
    return "Volume" if ref.kind == "PersistentVolumeClaim" else "Internal"
