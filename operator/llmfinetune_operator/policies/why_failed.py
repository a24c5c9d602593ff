"""Why the training job failed, from whoever is left to tell."""

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.termination import explain
from llmfinetune_operator.policies.trouble import failure
from llmfinetune_operator.policies.view import View


def why_failed(view: View) -> FailureStatus:
    """The first pod that ended with a code that stays tells most; others often fail because it did."""
    endings = [ended for pod in view.worker_pods if (ended := pods.termination(pod)) and ended.exit_code]
    first = min(endings, key=lambda ended: (ended.exit_code >= 128, ended.pod), default=None)
    if first is not None:
        return explain(first)
    told = view.report.failure if view.report is not None else None
    if told is None:
        return _unexplained(view)
    return failure(told.category, told.reason, told.message, hint=told.hint, retryable=told.retryable)


def _unexplained(view: View) -> FailureStatus:
    job = view.training_job
    message = view.backend.failure_message(job) if job else ""
    return failure(
        "Internal",
        "WorkersFailed",
        message or "workers failed, and their pods are gone",
        hint="read the events of the training job and of its pods",
        retryable=True,
    )
