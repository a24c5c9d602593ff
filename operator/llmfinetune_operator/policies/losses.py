"""Counts workers that were lost and replaced while the job went on.

The training operator replaces pods by itself and keeps no count. The status therefore remembers which pod
every worker had: another pod under the same name, or one that ended early, is a loss. Losses close together
are one restart, because the workers that lose a peer often go down with it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from llmfinetune_operator.api.status import WorkerPod
from llmfinetune_operator.backends.base import JobState
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.room import room
from llmfinetune_operator.policies.termination import FIRST_RETRYABLE_EXIT_CODE, is_preemption
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names
from llmfinetune_operator.times import format_time, parse_time

SAME_INCIDENT = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The counts, with what this cycle adds."""

    restarts: int = 0
    failures: int = 0
    last_restart_time: str | None = None
    pods: tuple[WorkerPod, ...] = ()

    def after_failure(self, now: datetime) -> "Losses":
        """The counts once the whole job is tried again after a failure; its pods are forgotten."""
        time = format_time(now)
        return Losses(restarts=self.restarts + 1, failures=self.failures + 1, last_restart_time=time)

    def without_pods(self) -> "Losses":
        """The counts, when pods go because they were told to."""
        return replace(self, pods=())


def losses(view: View) -> Losses:
    """Compares the live pods with the remembered ones."""
    before = _remembered(view)
    job = view.training_job
    if job is None or view.suspended or view.is_outdated:
        return before.without_pods()
    if view.backend.state(job) is not JobState.ACTIVE:
        return before
    expected = {names.worker_pod(view.owner.name, index) for index in range(room(view).asked)}
    live = {pods.name(pod): pod for pod in view.worker_pods if pods.name(pod) in expected}
    remembered = {pod.name: pod for pod in before.pods if pod.name in expected}
    seen = [_see(remembered.get(name), live.get(name), name) for name in sorted({*live, *remembered})]
    return _counted(before, seen, view.now)


class _Seen(NamedTuple):
    pod: WorkerPod
    newly_lost: bool
    failed: bool


def _see(known: WorkerPod | None, live: Object | None, name: str) -> _Seen:
    """What became of one worker: it is as it was, it ended, or another pod has its name."""
    if live is None:
        assert known is not None, "a name comes from the live pods or from the remembered ones"
        return _Seen(known.model_copy(update={"lost": True}), newly_lost=not known.lost, failed=False)
    ended = pods.termination(live)
    lost = ended is not None and ended.exit_code >= FIRST_RETRYABLE_EXIT_CODE
    failed = ended is not None and lost and not is_preemption(ended)
    replaced = known is not None and known.uid != pods.uid(live) and not known.lost
    counted = known is not None and known.uid == pods.uid(live) and known.lost
    pod = WorkerPod(name=name, uid=pods.uid(live), lost=lost)
    return _Seen(pod, newly_lost=replaced or (lost and not counted), failed=failed and not counted)


def _counted(before: Losses, seen: list[_Seen], now: datetime) -> Losses:
    last = parse_time(before.last_restart_time)
    is_new = any(each.newly_lost for each in seen) and (last is None or now - last > SAME_INCIDENT)
    failed = is_new and any(each.failed for each in seen)
    return Losses(
        restarts=before.restarts + is_new,
        failures=before.failures + failed,
        last_restart_time=format_time(now) if is_new else before.last_restart_time,
        pods=tuple(each.pod for each in seen),
    )


def _remembered(view: View) -> Losses:
    known = view.previous.workers
    if known is None:
        return Losses()
    return Losses(
        restarts=known.restarts,
        failures=known.failures,
        last_restart_time=known.last_restart_time,
        pods=tuple(known.pods),
    )
