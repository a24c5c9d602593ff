"""Success is the job's word and the result of this fine-tune together.

The job alone proves nothing: a Worker-only elastic job succeeds as soon as any worker ends with 0.
"""

from datetime import datetime, timedelta

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.termination import parse_message
from llmfinetune_operator.policies.trouble import failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names
from llmfinetune_trainer.config.messages import Result


def known_result(view: View) -> Result | None:
    """The result, from the latest report or from a pod's termination message, None where neither has one."""
    candidates = [view.report.result] if view.report else []
    for pod in view.worker_pods:
        ended = pods.termination(pod)
        message = parse_message(ended.message) if ended else None
        candidates.append(message.result if message else None)
    own = [r for r in candidates if r and names.is_attempt_of(view.owner.uid, r.attempt)]
    return own[-1] if own else None


def result_due(view: View, job: Object) -> datetime:
    """Until when the result of a succeeded job may be on its way."""
    ended_at = view.backend.finished_at(job) or view.now
    return ended_at + timedelta(seconds=view.settings.result_grace_seconds)


def missing_result() -> FailureStatus:
    """What went wrong with a job that succeeded and told no result."""
    return failure(
        "Internal",
        "ResultMissing",
        "the training job succeeded, but told no result",
        hint="nothing to do: the workers run again from the last checkpoint to tell it; if it stays, read "
        "their logs",
        retryable=True,
    )
