"""Where a fine-tune stands, in one word."""

from llmfinetune_operator.api.v1alpha1 import FineTunePhase
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names
from llmfinetune_operator.status.facts import Facts

TERMINAL: frozenset[FineTunePhase] = frozenset({"Succeeded", "Failed"})


def phase(view: View, facts: Facts) -> FineTunePhase:
    """The phase that the facts add up to."""
    if facts.succeeded:
        return "Succeeded"
    if facts.failed:
        return "Failed"
    if any(pods.is_running(pod) for pod in view.worker_pods):
        return _reported(view)
    if any(pods.is_running(pod) for pod in view.prepare_pods):
        return "Preparing"
    return _idle(view, facts)


def _reported(view: View) -> FineTunePhase:
    """Training, unless a worker of this very attempt says something more exact."""
    report = view.report
    if report is None or report.attempt != names.attempt_id(view.owner.uid, view.attempt):
        return "Training"
    return "Training" if report.phase == "Preparing" else report.phase


def _idle(view: View, facts: Facts) -> FineTunePhase:
    """Nothing runs: a pause that was asked for, a short gap between two stages, or a wait."""
    before = view.previous.phase
    if view.suspended and all(pods.is_over(pod) for pod in view.observed.pods):
        return "Suspended"
    if view.suspended:
        return "Pending" if before is None or facts.trouble is not None else before
    if view.is_held and facts.trouble is None:
        return "Queued"
    if before is None or before in {"Suspended", "Queued", *TERMINAL} or facts.trouble is not None:
        return "Pending"
    return before
