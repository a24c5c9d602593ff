"""Workers that run and do not get on: told first, then started again.

Judged by the trainers' reports alone: by the step while they train, by the share that is done while they
evaluate or export. Preparing takes as long as it takes.

Workers that start say nothing until they have met and loaded the model, which may take long. It is counted
from when all of them ran, and from when this operator was there to hear of it. Where no report ever came, it
may be the reports that do not get through, and not the training: then nobody is started again.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from llmfinetune_operator.observed import ReceivedReport
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names
from llmfinetune_operator.times import parse_time

NO_PROGRESS = "NoProgress"
_START = "while starting"
_AGAIN = (
    "nothing to do: workers start again from the last checkpoint if it lasts; where it comes back, look for "
    "a worker that cannot reach the others or its volume"
)
_UNHEARD = (
    "look at the workers' logs: either they wait for each other or for their volume, or they train and may "
    "not reach the operator (NetworkPolicy)"
)


class Stall(NamedTuple):
    """Whether workers have stalled, and what to do."""

    trouble: Trouble | None = None
    restart: bool = False
    """Whether it has lasted so long that the workers are to start again."""
    wake_at: datetime | None = None


class _Wait(NamedTuple):
    """What the workers owe word of."""

    since: datetime
    patience: timedelta
    doing: str


def stall(view: View, *, asked: int) -> Stall:
    """Judges the time since something was done. `asked` is how many workers the job has that can run."""
    wait = _wait(view, asked=asked)
    if wait is None:
        return Stall()
    since = min(wait.since, view.now)  # what lies ahead was before the clock was set back
    if view.now - since < wait.patience:
        return Stall(wake_at=since + wait.patience)
    if not _reports_get_through(view):
        return Stall(trouble=_trouble(wait, _UNHEARD))
    told = next(
        (c for c in view.previous.conditions if c.type == "Stalled" and c.reason == NO_PROGRESS), None
    )
    told_at = max(parse_time(told.last_transition_time) or view.now, since) if told else view.now
    restart_at = told_at + wait.patience
    return Stall(trouble=_trouble(wait, _AGAIN), restart=view.now >= restart_at, wake_at=restart_at)


def _wait(view: View, *, asked: int) -> _Wait | None:
    """What is waited for, None where nothing is due.

    Reports that could not have reached this process tell nothing, and workers that wait for others have
    nothing to tell.
    """
    started, watching_since = _all_run_since(view, asked=asked), view.observed.watching_since
    if started is None or watching_since is None:
        return None
    began, received = max(started, watching_since), _own_report(view)
    if received is None:
        return _Wait(began, _patience_at_start(view), _START)
    report = received.report
    if report.failure:  # in its pod, training starts again
        return _Wait(max(began, received.received_at), _patience_at_start(view), _START)
    if report.result or report.phase == "Preparing" or not report.total_steps:
        return None
    doing = "" if report.phase == "Training" else f"while {report.phase.lower()} "
    patience = _patience(view, least=view.settings.stall_seconds, step_seconds=report.step_seconds)
    if received.advanced_at < started:
        patience = max(patience, _patience_at_start(view))
    return _Wait(max(began, received.advanced_at), patience, f"{doing}since step {report.step}")


def _all_run_since(view: View, *, asked: int) -> datetime | None:
    """Since when as many workers run as can, None while they do not."""
    working = [pod for pod in view.worker_pods if pods.is_running(pod)]
    started = [time for pod in working if (time := pods.running_since(pod))]
    return max(started, default=None) if len(working) >= asked else None


def _own_report(view: View) -> ReceivedReport | None:
    """The latest report, where it is about this attempt."""
    is_own = view.report is not None and view.report.attempt == names.attempt_id(view.owner.uid, view.attempt)
    return view.observed.report if is_own else None


def _patience_at_start(view: View) -> timedelta:
    """How long the first word may take. To an operator that was away, it comes with the next step."""
    known = view.previous.progress
    left = known.total_steps - known.step if known else 0
    step_seconds = known.eta_seconds / left if known and known.eta_seconds and left > 0 else None
    return _patience(view, least=view.settings.stall_start_seconds, step_seconds=step_seconds)


def _patience(view: View, *, least: float, step_seconds: float | None) -> timedelta:
    """How long a step may take: many times what one took, and never little."""
    return timedelta(seconds=max(least, view.settings.stall_steps * (step_seconds or 0.0)))


def _reports_get_through(view: View) -> bool:
    """Whether this fine-tune's pods have reached an operator before."""
    return view.report is not None or view.previous.progress is not None


def _trouble(wait: _Wait, hint: str) -> Trouble:
    return Trouble(
        failure=failure(
            "Network",
            NO_PROGRESS,
            f"no progress {wait.doing} for {wait.patience.total_seconds():.0f} s, though all workers run",
            hint=hint,
            retryable=True,
        ),
        stalled=True,
    )
