"""Reads the state of batch Jobs."""

from llmfinetune_operator.observed import Object


def condition(job: Object, kind: str) -> Object | None:
    """A condition of the Job that is True."""
    conditions = job.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


def is_over(job: Object) -> bool:
    """Whether the Job has succeeded or failed."""
    return bool(condition(job, "Complete") or condition(job, "Failed"))


def is_suspended(job: Object) -> bool:
    """Whether the Job makes no pods."""
    return bool(job["spec"].get("suspend"))
