"""What keeps a fine-tune from going on, in the words that `status.failure` and the conditions have for it."""

from dataclasses import dataclass
from datetime import datetime

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_trainer.config.messages import MAX_LOG_TAIL, Category
from llmfinetune_trainer.config.redaction import redact

MAX_TEXT = 1024
_EXIT_CODES = range(256)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something wrong, and whether waiting can help."""

    failure: FailureStatus
    final: bool = False
    """Whether the fine-tune fails of it now."""
    tried: str | None = None
    """How often it was tried or how long it was waited for, where that is what makes it final."""
    stalled: bool = False
    """Whether workers run without getting on: a person who waits is to be told so."""
    wake_at: datetime | None = None
    """When it is to be judged again, where only time changes the judgement."""


def failure(
    category: Category,
    reason: str,
    message: str,
    *,
    hint: str,
    retryable: bool,
    pod: str | None = None,
    exit_code: int | None = None,
    log_tail: str | None = None,
) -> FailureStatus:
    """A failure with every text redacted and cut to what a status may hold."""
    return FailureStatus(
        category=category,
        reason=reason,
        retryable=retryable,
        message=shorten(redact(message), MAX_TEXT),
        hint=shorten(redact(hint), MAX_TEXT),
        pod=pod,
        exit_code=exit_code if exit_code in _EXIT_CODES else None,
        log_tail=redact(log_tail)[-MAX_LOG_TAIL:] if log_tail else None,
    )


def shorten(text: str, length: int) -> str:
    """The text, cut to a length."""
    text = text.strip()
    return text if len(text) <= length else f"{text[: length - 1]}…"
