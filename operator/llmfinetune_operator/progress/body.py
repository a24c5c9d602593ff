"""What a report's body says, whether our trainer sent it or one that knows only Kubeflow's contract."""

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from llmfinetune_operator.errors import BadReportError
from llmfinetune_trainer.config.messages import Report, ReportBody, TrainerStatus

N = TypeVar("N", int, float)

MAX_STEP = 10_000_000


def parse_body(raw: bytes) -> ReportBody:
    """Decode a request's body.

    Raises:
        BadReportError: it is no JSON (400), or not a report (422); the message names each field.
    """
    try:
        decoded = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadReportError(f"the body is not JSON: {error}", status=400, result="malformed") from error
    try:
        body = ReportBody.model_validate(decoded)
    except ValidationError as error:
        problems = "; ".join(f"{_where(e['loc'])}: {e['msg']}" for e in error.errors(include_url=False)[:10])
        raise BadReportError(f"not a report: {problems}", status=422, result="invalid") from error
    if body.llmfinetune is None and body.trainer_status is None:
        raise BadReportError(
            "the report is empty: give trainerStatus or llmfinetune", status=422, result="invalid"
        )
    return body


def report_of(body: ReportBody, *, attempt: str) -> Report:
    """Return the report that a body makes; one of the stock contract is about `attempt`, the pod's."""
    if body.llmfinetune is not None:
        return body.llmfinetune
    assert body.trainer_status is not None
    return _stock_report(body.trainer_status, attempt=attempt)


def _stock_report(status: TrainerStatus, *, attempt: str) -> Report:
    """Map the metrics that Hugging Face's callback sends; what they do not say stays unsaid."""
    metrics = {metric.name: metric.value for metric in status.metrics}
    said: dict[str, Any] = {
        "step": _number(metrics.get("current_step"), _step),
        "total_steps": _number(metrics.get("total_steps"), _step),
        "epoch": _number(metrics.get("current_epoch") or metrics.get("epoch"), _not_negative),
        "loss": _number(metrics.get("loss") or metrics.get("train_loss"), float),
        "eval_loss": _number(metrics.get("eval_loss"), float),
        "learning_rate": _number(metrics.get("learning_rate"), float),
        "eta_seconds": min(status.estimated_remaining_seconds, 10**9)
        if status.estimated_remaining_seconds is not None
        else None,
    }
    if said["step"] is None and status.progress_percentage is not None:
        said |= {"step": status.progress_percentage, "total_steps": 100}
    known = {name: value for name, value in said.items() if value is not None}
    return Report(attempt=attempt, phase="Training", **known)


def _number(text: str | None, convert: Callable[[float], N]) -> N | None:
    """Return what the text says as a finite number, None where it says none."""
    try:
        value = float(text) if text is not None else math.nan
        return convert(value) if math.isfinite(value) else None
    except ValueError:
        return None


def _step(value: float) -> int:
    return max(0, min(MAX_STEP, int(value)))


def _not_negative(value: float) -> float:
    return max(0.0, value)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number; leave the field out instead")


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the body"
