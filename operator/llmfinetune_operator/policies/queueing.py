"""Jobs in a queue (`runPolicy.queueName`): Kueue alone says when they run, where, and when they give way.

Kueue writes into a job: whether it is suspended, and into its pod template the node selectors, tolerations,
labels and annotations of the flavor that it admits the job to. So a job in a queue is made once, suspended,
and never written again. Whatever changes it is another job: the one that runs is deleted, its workers write a
checkpoint and go, and the next attempt waits for its admission. A pause of the user's deletes it too: a
suspended job with an admission would be started again by Kueue at once.
"""

from typing import NamedTuple

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies.view import View


class Admission(NamedTuple):
    """Whether the queue lets the fine-tune's job run, in words."""

    admitted: bool
    reason: str
    message: str


def is_fixed(view: View, live: Object | None) -> bool:
    """Whether a live job is Kueue's to change, and nobody else's."""
    return view.queue is not None and live is not None


def is_resized(view: View, job: Object) -> bool:
    """Whether a job in a queue has, and is admitted for, another number of workers than are wanted."""
    return view.queue is not None and view.backend.replicas(job) != view.replicas


def admission(view: View) -> Admission | None:
    """What the queue says to the job that is there, None where no job of this fine-tune is in a queue."""
    job = view.job_in_queue
    if view.queue is None or job is None:
        return None
    what = f"{job['kind']} {job['metadata']['name']!r}"
    if not view.is_held:
        return Admission(True, "Admitted", f"queue {view.queue!r} has admitted {what}")
    return Admission(
        False,
        "Queued",
        f"{what} waits for queue {view.queue!r} to admit it; `kubectl describe workloads -n "
        f"{view.owner.namespace}` tells its place. Where no Workload appears, Kueue is not installed, or "
        f"does not manage {job['kind']}s",
    )
