"""metav1.Conditions: Ready, Reconciling and Stalled as kstatus reads them, and one for every stage."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from llmfinetune_operator.api.v1alpha1 import Condition, ConditionStatus, FineTunePhase
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.preparation import Preparation
from llmfinetune_operator.policies.queueing import admission
from llmfinetune_operator.policies.shortage import scheduled
from llmfinetune_operator.policies.trouble import MAX_TEXT, shorten
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.status.facts import Facts
from llmfinetune_operator.times import format_time

_PREPARE_MESSAGES = {
    Preparation.MISSING: ("Waiting", "preparation has not begun"),
    Preparation.RUNNING: ("Running", "model and data are being fetched, checked and prepared"),
    Preparation.OUTDATED: ("VolumeReplaced", "the volume was replaced: model and data are prepared again"),
    Preparation.FAILED: ("Failed", "preparation failed"),
    Preparation.DONE: ("Completed", "model and data are prepared"),
}

_PHASES: Mapping[FineTunePhase, str] = {
    "Pending": "waiting for pods to start",
    "Queued": "the job waits for the queue in runPolicy.queueName to admit it",
    "Preparing": "model and data are being fetched, checked and prepared",
    "Training": "workers are training",
    "Evaluating": "workers are evaluating on the held-out split",
    "Exporting": "the adapter is being written",
    "Succeeded": "the adapter is written, and its digest is in status.output",
    "Failed": "the fine-tune failed",
    "Suspended": "paused by runPolicy.suspend: set it to false to go on from the last checkpoint",
}


class Judgement(NamedTuple):
    """A condition without its bookkeeping."""

    type: str
    status: bool
    reason: str
    message: str


def conditions(view: View, facts: Facts, phase: FineTunePhase) -> list[Condition]:
    """All conditions. `lastTransitionTime` only moves when a status flips."""
    judgements = [
        *_summary(facts, phase),
        Judgement("StorageReady", facts.storage.ready, facts.storage.reason, facts.storage.message),
        _prepared(facts),
        *_admitted(view),
        *_scheduled(view, facts),
        _training(view, facts, phase),
        Judgement("Succeeded", facts.succeeded, *_reason(facts, phase)),
    ]
    known = {condition.type: condition for condition in view.previous.conditions}
    return [_condition(view, judgement, known.get(judgement.type)) for judgement in judgements]


def _summary(facts: Facts, phase: FineTunePhase) -> Sequence[Judgement]:
    reason, message = _reason(facts, phase)
    is_stalled = facts.failed or (facts.trouble is not None and facts.trouble.stalled)
    stalled = (reason, message) if is_stalled else ("NotStalled", "")
    return (
        Judgement("Ready", facts.succeeded, reason, message),
        Judgement("Reconciling", not (facts.succeeded or facts.failed), reason, message),
        Judgement("Stalled", is_stalled, *stalled),
    )


def _reason(facts: Facts, phase: FineTunePhase) -> tuple[str, str]:
    if facts.trouble is not None:
        return facts.trouble.failure.reason, facts.trouble.failure.message
    return phase, _PHASES[phase]


def _prepared(facts: Facts) -> Judgement:
    done = facts.preparation is Preparation.DONE
    reason, message = _PREPARE_MESSAGES[facts.preparation]
    if facts.trouble is not None and not done:
        reason, message = facts.trouble.failure.reason, facts.trouble.failure.message
    return Judgement("Prepared", done, reason, message)


def _admitted(view: View) -> Sequence[Judgement]:
    found = admission(view)
    return () if found is None else (Judgement("Admitted", *found),)


def _scheduled(view: View, facts: Facts) -> Sequence[Judgement]:
    found = scheduled(view, facts.room, facts.storage.access_modes)
    return () if found is None else (Judgement("WorkersScheduled", *found),)


def _training(view: View, facts: Facts, phase: FineTunePhase) -> Judgement:
    reason, message = _reason(facts, phase)
    if facts.preparation is not Preparation.DONE:
        reason, message = "WaitingForPreparation", "workers start once model and data are prepared"
    if facts.trouble is None and any(pods.is_running(pod) for pod in view.worker_pods):
        return Judgement("Training", not facts.succeeded, reason, message)
    return Judgement("Training", False, reason, message)


def _condition(view: View, judged: Judgement, known: Condition | None) -> Condition:
    status: ConditionStatus = "True" if judged.status else "False"
    kept = known is not None and known.status == status
    return Condition(
        type=judged.type,
        status=status,
        reason=judged.reason,
        message=shorten(judged.message, MAX_TEXT),
        last_transition_time=known.last_transition_time if known and kept else format_time(view.now),
        observed_generation=view.generation,
    )
