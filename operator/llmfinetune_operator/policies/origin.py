"""The fine-tune that another one starts from: whether it is there, and has something to start from."""

from datetime import timedelta

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View, parse_status


def origin_trouble(view: View) -> Trouble | None:
    """Why preparation cannot begin, None where nothing is asked for or it has begun before."""
    resume, other = view.spec.resume_from, view.observed.origin
    if resume is None or resume.fine_tune is None or view.prepare_job or view.condition_is_true("Prepared"):
        return None
    if view.origin is None:
        return _waiting(
            view,
            "ResumeFromMissing",
            f"LLMFineTune {resume.fine_tune!r}, which resumeFrom names, does not exist in the namespace",
            "correct resumeFrom.fineTune; where only its volume is left, name that in resumeFrom.source",
        )
    if other is not None and not _has_saved(other):
        return _waiting(
            view,
            "ResumeFromNotReady",
            f"LLMFineTune {resume.fine_tune!r}, which resumeFrom names, has saved no checkpoint yet",
            "this fine-tune starts by itself when it has",
        )
    return None


def _has_saved(other: Object) -> bool:
    status = parse_status(other)
    return status.checkpoint is not None or status.output is not None


def _waiting(view: View, reason: str, message: str, hint: str) -> Trouble:
    return Trouble(
        failure=failure("UserError", reason, message, hint=hint, retryable=True),
        wake_at=view.now + timedelta(seconds=view.settings.refused_retry_seconds),
    )
