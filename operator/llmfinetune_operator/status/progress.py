"""What trainers told: progress, measurements, loss curve, data. What they leave out stays known."""

from typing import Any

from llmfinetune_operator.api.v1alpha1 import LossPoint, Metrics, Output, Progress
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.checkpoints import newest_checkpoint
from llmfinetune_operator.policies.termination import parse_message
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.status.facts import Facts
from llmfinetune_operator.status.numbers import decimal, percent, perplexity
from llmfinetune_operator.times import format_time
from llmfinetune_trainer.config.messages import Report, Result, TerminationMessage


def reported(view: View, facts: Facts) -> dict[str, Any]:
    """The fields of the status that come from trainers."""
    report, known = view.report, view.previous
    prepared = _of_preparation(view)
    return {
        "progress": _progress(view, report, facts.result),
        "metrics": _metrics(view, report, facts.result),
        "history": _history(report) or known.history,
        "dataset": next((told.dataset for told in prepared if told.dataset), known.dataset),
        "estimate": next((told.estimate for told in prepared if told.estimate), known.estimate),
        "checkpoint": newest_checkpoint(view),
        "runtime": (report.runtime if report else None) or known.runtime,
        "output": _output(view, facts.result) or known.output,
    }


def _progress(view: View, report: Report | None, result: Result | None) -> Progress | None:
    known = view.previous.progress
    if result is not None:
        epoch = decimal(report.epoch) if report else known.epoch if known else None
        return Progress(percent=100, step=result.steps, total_steps=result.steps, epoch=epoch, eta_seconds=0)
    if report is None or not report.total_steps:
        return known
    is_same = known is not None and known.step == report.step
    return Progress(
        percent=percent(report.step, report.total_steps),
        step=report.step,
        total_steps=report.total_steps,
        epoch=decimal(report.epoch),
        eta_seconds=report.eta_seconds,
        time=known.time if known is not None and is_same and known.time else _received_at(view),
    )


def _received_at(view: View) -> str | None:
    received = view.observed.report
    return format_time(received.received_at) if received else None


def _metrics(view: View, report: Report | None, result: Result | None) -> Metrics | None:
    told = _measurements(view, report, result)
    known = view.previous.metrics
    if not told:
        return known
    return known.model_copy(update=told) if known else Metrics.model_validate(told)


def _measurements(view: View, report: Report | None, result: Result | None) -> dict[str, str]:
    values: dict[str, str | None] = {}
    if report is not None:
        values |= {
            "loss": decimal(report.loss),
            "learning_rate": decimal(report.learning_rate),
            "tokens_per_second": decimal(report.tokens_per_second),
            **_evaluation(view, report.eval_loss_before, report.eval_loss),
        }
    if result is not None:
        final = {"loss": decimal(result.loss), **_evaluation(view, result.eval_loss_before, result.eval_loss)}
        values |= {name: value for name, value in final.items() if value is not None}
    return {name: value for name, value in values.items() if value is not None}


def _evaluation(view: View, before: float | None, latest: float | None) -> dict[str, str | None]:
    wants_perplexity = "perplexity" in view.spec.evaluation.metrics
    return {
        "eval_loss_before": decimal(before),
        "eval_loss": decimal(latest),
        "perplexity": perplexity(latest) if wants_perplexity else None,
    }


def _history(report: Report | None) -> list[LossPoint]:
    points = report.history if report else []
    return [LossPoint(step=point.step, loss=decimal(point.loss) or "0") for point in points]


def _of_preparation(view: View) -> list[Report | TerminationMessage]:
    """Where preparation may have told what it found: the latest report, and messages that its pods left."""
    ended = [pods.termination(pod) for pod in reversed(view.prepare_pods)]
    messages = [parse_message(each.message) for each in ended if each]
    return [told for told in (view.report, *messages) if told is not None]


def _output(view: View, result: Result | None) -> Output | None:
    if result is None:
        return None
    directory = f"{view.owner.name}/" if view.spec.storage.existing_claim else ""
    volume = f"pvc://{view.claim_name}/{directory}"
    return Output(
        adapter=f"{volume}{result.adapter}",
        sha256=result.sha256,
        base_revision=result.base_revision or None,
        merged=result.merged and f"{volume}{result.merged}",
        merged_sha256=result.merged_sha256,
    )
