"""When workers that failed are tried again, and when no more."""

from datetime import datetime, timedelta

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.policies.trouble import MAX_TEXT, shorten
from llmfinetune_operator.policies.view import View


def may_retry(view: View, failures: int) -> bool:
    """Whether `runPolicy.maxRestarts` leaves room for another try after this many failures before it."""
    return failures < view.spec.run_policy.max_restarts


def retry_at(view: View, failures: int, failed_at: datetime) -> datetime:
    """When to try again: waits double with every failure up to the longest one."""
    delay = view.settings.retry_delay_seconds * 2.0 ** min(failures, 30)
    return failed_at + timedelta(seconds=min(delay, view.settings.retry_delay_max_seconds))


def given_up(last: FailureStatus, max_restarts: int) -> FailureStatus:
    """The failure after the last try."""
    message = f"gave up after {max_restarts} restarts (runPolicy.maxRestarts): {last.message}"
    return last.model_copy(update={"message": shorten(message, MAX_TEXT), "retryable": False})
