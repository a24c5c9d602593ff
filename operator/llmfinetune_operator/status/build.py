"""Puts the whole status together."""

from typing import Any

from llmfinetune_operator.api.v1alpha1 import FailureStatus, FineTunePhase, LLMFineTuneStatus, WorkersStatus
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.activity import activity
from llmfinetune_operator.policies.categories import is_free
from llmfinetune_operator.policies.preparation import Preparation
from llmfinetune_operator.policies.scaling import rescales
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import labels
from llmfinetune_operator.status.conditions import conditions
from llmfinetune_operator.status.facts import Facts
from llmfinetune_operator.status.phase import TERMINAL, phase
from llmfinetune_operator.status.progress import reported
from llmfinetune_operator.times import format_time


def build_status(view: View, facts: Facts) -> LLMFineTuneStatus:
    """The status that these facts and the stored status add up to."""
    now_in, active = phase(view, facts), activity(view)
    return LLMFineTuneStatus(
        observed_generation=view.generation,
        phase=now_in,
        conditions=conditions(view, facts, now_in),
        attempt=facts.attempt or None,
        start_time=view.previous.start_time or _start_time(view),
        completion_time=format_time(view.now) if now_in in TERMINAL else None,
        active_seconds=active.seconds,
        active_time=None if now_in in TERMINAL else active.counted_at,
        resumed_from=view.origin,
        workers=_workers(view, facts, now_in),
        failure=_failure(view, facts),
        remedies=[*view.previous.remedies, *([facts.remedy] if facts.remedy else [])],
        **reported(view, facts),
    )


def _start_time(view: View) -> str | None:
    return None if view.suspended else format_time(view.now)


def _workers(view: View, facts: Facts, now_in: FineTunePhase) -> WorkersStatus:
    counts = facts.counts
    count, reason = rescales(view, facts.room)
    ready = sum(pods.is_ready(pod) for pod in view.worker_pods)
    return WorkersStatus(
        desired=view.replicas,
        ready=0 if now_in in TERMINAL else ready,
        selector=labels.worker_selector(view.owner.name),
        restarts=counts.restarts,
        failures=counts.failures,
        last_restart_time=counts.last_restart_time,
        last_restart_reason=counts.last_restart_reason,
        failures_in_a_row=counts.failures_in_a_row,
        checkpoint_at_failure=counts.checkpoint_at_failure or None,
        next_start_time=counts.next_start_time,
        restarts_in_pod=_restarts_in_pod(view),
        rescales=count,
        last_rescale_reason=reason,
        room=None if now_in in TERMINAL else facts.room.status,
        pods=list(counts.pods),
    )


def _restarts_in_pod(view: View) -> int | None:
    """What the first worker last said, as long as nobody says otherwise."""
    if view.report is None:
        return view.previous.workers.restarts_in_pod if view.previous.workers else None
    return view.report.restarts or None


def _failure(view: View, facts: Facts) -> FailureStatus | None:
    """What is wrong now. How a pod ended, or that its node went, is told until what is to run is back."""
    if facts.ending is not None and not facts.failed:
        return facts.ending
    if facts.trouble is not None:
        return facts.trouble.failure
    known = view.previous.failure
    if facts.succeeded or known is None:
        return None
    if facts.counts.next_start_time is not None:
        return known
    is_lasting = known.exit_code is not None or is_free(known.category)
    return known if is_lasting and not view.suspended and not _is_back(view, facts) else None


def _is_back(view: View, facts: Facts) -> bool:
    """Whether all pods are ready that are to work now."""
    if facts.preparation is not Preparation.DONE:
        return any(pods.is_ready(pod) for pod in view.prepare_pods)
    return sum(pods.is_ready(pod) for pod in view.worker_pods) >= facts.room.asked


def status_json(status: LLMFineTuneStatus) -> dict[str, Any]:
    """The status as the API server stores it."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)
