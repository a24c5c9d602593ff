"""Where preparation stands: nothing computes before the prepare Job has succeeded on the present volume."""

from enum import Enum

from llmfinetune_operator.policies import jobs
from llmfinetune_operator.policies.pod_troubles import pod_trouble
from llmfinetune_operator.policies.pods_refused import refused_pods_trouble
from llmfinetune_operator.policies.remedies import prepare_ran_out
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources.prepare_job import RETRIES
from llmfinetune_operator.times import parse_time


class Preparation(Enum):
    """State of the preparation."""

    MISSING = "Missing"
    """There is no Job, and it has not been done."""
    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"
    OUTDATED = "Outdated"
    """The Job was done on a volume that is no longer there."""


def preparation(view: View) -> Preparation:
    """Judges the live Job; without one, what the status remembers."""
    job = view.prepare_job
    if job is None:
        return Preparation.DONE if _remembered(view) else Preparation.MISSING
    if jobs.condition(job, "Failed"):
        return Preparation.FAILED
    if not jobs.condition(job, "Complete"):
        return Preparation.RUNNING
    return (
        Preparation.OUTDATED
        if _volume_is_newer(view, job["status"].get("completionTime"))
        else Preparation.DONE
    )


def preparation_trouble(view: View) -> Trouble | None:
    """Why preparation does not go on, or why it failed for good."""
    job = view.prepare_job
    failed = jobs.condition(job, "Failed") if job else None
    told = pod_trouble(view.prepare_pods, view)
    if told is not None and told.failure.category == "OutOfMemory":
        return Trouble(failure=prepare_ran_out(view, told.failure), final=True)
    if failed is None:
        return told or (None if view.prepare_pods else refused_pods_trouble(job, view.observed.events))
    if told is not None:
        tried = f"{RETRIES + 1} tries" if told.failure.retryable else None
        return Trouble(failure=told.failure, final=True, tried=tried)
    message = str(failed.get("message", "")) or "the prepare Job failed"
    hint = "read the events of the Job with `kubectl describe job`"
    return Trouble(
        failure=failure("Internal", "PrepareFailed", message, hint=hint, retryable=False), final=True
    )


def _remembered(view: View) -> bool:
    prepared = next(
        (c for c in view.previous.conditions if c.type == "Prepared" and c.status == "True"), None
    )
    return prepared is not None and not _volume_is_newer(view, prepared.last_transition_time)


def _volume_is_newer(view: View, prepared_at: str | None) -> bool:
    """Whether the claim was made anew since. One that is absent now will be."""
    if view.claim is None:
        return True
    made, done = parse_time(view.claim["metadata"].get("creationTimestamp")), parse_time(prepared_at)
    return made is not None and done is not None and made > done
