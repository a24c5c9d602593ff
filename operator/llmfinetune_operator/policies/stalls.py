"""Workers that run and do not get on: told first, then started again.

Judged by the trainers' reports alone: by the step while they train, by the share that is done while they
evaluate or export. Preparing takes as long as it takes.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names
from llmfinetune_operator.times import parse_time

NO_PROGRESS = "NoProgress"


class Stall(NamedTuple):
    """Whether workers have stalled, and what to do."""

    trouble: Trouble | None = None
    restart: bool = False
    """Whether it has lasted so long that the workers are to start again."""
    wake_at: datetime | None = None


def stall(view: View, *, asked: int) -> Stall:
    """Judges the time since something was done. `asked` is how many workers the job has."""
    since = _since(view, asked=asked)
    if since is None:
        return Stall()
    patience = _patience(view)
    if view.now - since < patience:
        return Stall(wake_at=since + patience)
    told = next(
        (c for c in view.previous.conditions if c.type == "Stalled" and c.reason == NO_PROGRESS), None
    )
    told_at = max(parse_time(told.last_transition_time) or view.now, since) if told else view.now
    restart_at = told_at + patience
    return Stall(trouble=_trouble(view, patience), restart=view.now >= restart_at, wake_at=restart_at)


def _since(view: View, *, asked: int) -> datetime | None:
    """Since when nothing has been done, None where nothing is due.

    Reports that could not have reached this process tell nothing, and workers that have just started, or
    wait for others, have nothing to tell.
    """
    report, received = view.report, view.observed.report
    watching_since = view.observed.watching_since
    if report is None or received is None or watching_since is None:
        return None
    if report.phase == "Preparing" or not report.total_steps:
        return None
    if report.attempt != names.attempt_id(view.owner.uid, view.attempt) or report.result or report.failure:
        return None
    working = [pod for pod in view.worker_pods if pods.is_running(pod)]
    if len(working) < asked:
        return None
    started = [time for pod in working if (time := pods.running_since(pod))]
    return max([received.advanced_at, watching_since, *started])


def _patience(view: View) -> timedelta:
    """How long a step may take: many times what one took, and never little."""
    report = view.report
    assert report is not None, "without a report nothing is judged"
    steps_seconds = view.settings.stall_steps * (report.step_seconds or 0.0)
    return timedelta(seconds=max(view.settings.stall_seconds, steps_seconds))


def _trouble(view: View, patience: timedelta) -> Trouble:
    assert view.report is not None, "without a report nothing is judged"
    doing = "" if view.report.phase == "Training" else f" while {view.report.phase.lower()}"
    return Trouble(
        failure=failure(
            "Network",
            NO_PROGRESS,
            f"no progress{doing} since step {view.report.step} for {patience.total_seconds():.0f} s, "
            "though all workers run",
            hint="workers start again from the last checkpoint if it lasts; where it comes back, look for "
            "a worker that cannot reach the others",
            retryable=True,
        ),
        stalled=True,
    )
