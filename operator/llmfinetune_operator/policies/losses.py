"""Finds workers that were lost and replaced while the job went on.

The training operator replaces pods by itself and keeps no count. The status therefore remembers which pod
every worker had: another pod under the same name, or one that ended early, is a loss. Losses close together
are one restart, because the workers that lose a peer often go down with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from llmfinetune_operator.api.status import WorkerPod
from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.backends.base import JobState
from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.categories import CATEGORIES, is_free
from llmfinetune_operator.policies.counts import Counts
from llmfinetune_operator.policies.disruptions import WITHOUT_GOODBYE
from llmfinetune_operator.policies.termination import FIRST_RETRYABLE_EXIT_CODE, explain
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names
from llmfinetune_operator.times import parse_time

SAME_INCIDENT = timedelta(seconds=30)
AFTERMATH = timedelta(minutes=3)
"""How long after a worker was preempted others may still find out that they lost it."""
DELETED = "Deleted"
"""Reason of a restart whose pod is gone, and nobody knows why."""


class Losses(NamedTuple):
    """The counts, and the failure that this cycle added to them."""

    counts: Counts
    failure: FailureStatus | None = None
    ending: FailureStatus | None = None
    """How a worker ended that costs nothing."""
    without_goodbye: bool = False
    """Whether the others may not have heard of it, and wait for the lost one."""


def losses(view: View, *, asked: int) -> Losses:
    """Compares the live pods with the remembered ones. `asked` is how many workers the job has."""
    before = Counts.of(view)
    job = view.training_job
    if job is None or view.is_paused or view.is_outdated:
        return Losses(before.without_pods())
    if view.backend.state(job) is not JobState.ACTIVE:
        return Losses(before)
    expected = {names.worker_pod(view.owner.name, index) for index in range(asked)}
    live = {pods.name(pod): pod for pod in view.worker_pods if pods.name(pod) in expected}
    remembered = {pod.name: pod for pod in before.pods if pod.name in expected}
    gone = {pods.uid(pod): pod for pod in view.observed.failed_pods}
    seen = [_see(remembered.get(name), live.get(name), gone) for name in sorted({*live, *remembered})]
    counts = replace(before, pods=tuple(each.pod for each in seen))
    lost = [each for each in seen if each.newly_lost]
    found = _counted(view, counts, lost, is_whole=_others_are_there(view, live, lost, asked=asked))
    reasons = {each.ending.reason for each in lost if each.ending is not None}
    return found._replace(without_goodbye=bool(reasons & WITHOUT_GOODBYE))


class _Seen(NamedTuple):
    pod: WorkerPod
    newly_lost: bool
    ending: FailureStatus | None = None
    """How it ended, where that can still be seen."""


def _see(known: WorkerPod | None, live: Object | None, gone: Mapping[str, Object]) -> _Seen:
    """What became of one worker: it is as it was, it ended, or another pod has its name.

    The training operator removes a pod as soon as it failed; how it ended is then told by what was seen last.
    """
    before = gone.get(known.uid) if known is not None and not known.lost else None
    if live is None:
        assert known is not None, "a name comes from the live pods or from the remembered ones"
        pod = known.model_copy(update={"lost": True})
        return _Seen(pod, newly_lost=not known.lost, ending=_how_it_ended(before))
    pod = WorkerPod(name=pods.name(live), uid=pods.uid(live), lost=_how_it_ended(live) is not None)
    if known is None or known.uid != pod.uid:
        replaced = known is not None and not known.lost
        return _Seen(
            pod, newly_lost=replaced or pod.lost, ending=_how_it_ended(before) or _how_it_ended(live)
        )
    newly_lost = pod.lost and not known.lost
    return _Seen(pod, newly_lost=newly_lost, ending=_how_it_ended(live) if newly_lost else None)


def _how_it_ended(pod: Object | None) -> FailureStatus | None:
    """Why a pod was lost, None where there is none or it was not."""
    ended = pods.termination(pod) if pod is not None else None
    if ended is None:
        return None
    is_its_own = not ended.disruption and not ended.added
    if is_its_own and ended.exit_code < FIRST_RETRYABLE_EXIT_CODE:
        return None
    return explain(ended)


def _counted(view: View, counts: Counts, lost: Sequence[_Seen], *, is_whole: bool) -> Losses:
    endings = [each.ending for each in lost]
    free = [each for each in endings if each is not None and _costs_nothing(each)]
    if not lost or _is_within(SAME_INCIDENT, counts, view.now):
        return Losses(counts, ending=next(iter(free), None))
    failures = [each for each in endings if each is not None and each not in free]
    own = [each for each in failures if each.category != "Network"]
    if own:
        return Losses(counts.failed(view, own[0].category), own[0])
    if failures and is_whole and None not in endings and not free and not _is_aftermath(counts, view.now):
        return Losses(counts.failed(view, failures[0].category), failures[0])
    reason = free[0].category if free else DELETED
    return Losses(counts.restarted(view, reason), ending=next(iter([*free, *failures]), None))


def _costs_nothing(ending: FailureStatus) -> bool:
    """Whether the cluster took the pod's place away, or never gave it one."""
    return is_free(ending.category) or ending.category == "Scheduling"


def _others_are_there(view: View, live: Mapping[str, Object], lost: Sequence[_Seen], *, asked: int) -> bool:
    """Whether every worker beside the lost ones has a pod that works, so that none is missed by others."""
    names_lost = {each.pod.name for each in lost}
    others = [pod for name, pod in live.items() if name not in names_lost and pods.is_running(pod)]
    scaled_away = [pod for pod in view.worker_pods if pods.name(pod) not in live]
    return len(others) + len(names_lost) >= asked and not scaled_away


def _is_aftermath(counts: Counts, now: datetime) -> bool:
    """Whether losing a peer now may still come from a restart that was nobody's failure."""
    reason = counts.last_restart_reason
    was_free = reason == DELETED or any(reason == name and is_free(name) for name in CATEGORIES)
    return was_free and _is_within(AFTERMATH, counts, now)


def _is_within(span: timedelta, counts: Counts, now: datetime) -> bool:
    """Whether the last restart was less than so long ago, or will have been: clocks may be set back."""
    last = parse_time(counts.last_restart_time)
    return last is not None and abs(now - last) <= span
