"""Progress as files on the volume: `metrics.jsonl`, one line a step or evaluation, and TensorBoard events."""

import json
import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from llmfinetune_trainer.atomic import write_atomically
from llmfinetune_trainer.config.messages import Report
from llmfinetune_trainer.perplexity import perplexity
from llmfinetune_trainer.report.sink import NO_HISTORY, History, StepRecord

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"

log = logging.getLogger(__name__)


class MetricsFile:
    """Appends lines to `metrics.jsonl`.

    First the file is made to tell the history that training goes on from, every step of it once: lines of
    steps after it go, and steps that an earlier process finished but did not live to write down come from
    the checkpoint.
    """

    def __init__(
        self, directory: Path, *, history: History = NO_HISTORY, metrics: Collection[str] = ("loss",)
    ) -> None:
        self._metrics = frozenset(metrics)
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / METRICS
        lines = _told(path, history)
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines))
        self._eval_steps = {line["step"] for line in lines if "samples" not in line}
        self._file = path.open("a", encoding="utf-8")

    def report(self, report: Report, *, urgent: bool) -> None:
        """Writes a line for every new evaluation."""
        if report.eval_step is None or report.eval_loss is None or report.eval_step in self._eval_steps:
            return
        self._eval_steps.add(report.eval_step)
        figures = {"loss": report.eval_loss, "perplexity": perplexity(report.eval_loss)}
        chosen = {f"eval{name.title()}": figures[name] for name in figures if name in self._metrics}
        self._write({"step": report.eval_step, **chosen})

    def step(self, record: StepRecord) -> None:
        """Writes a line."""
        self._write(_step_line(record))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            log.warning("%s not written: %s", METRICS, error)


def _step_line(record: StepRecord) -> dict[str, Any]:
    return {
        "step": record.step,
        "epoch": round(record.epoch, 6),
        "cursor": record.cursor,
        "samples": record.samples,
        "loss": record.loss,
        "learningRate": record.learning_rate,
        "gradientNorm": record.gradient_norm,
        "tokens": record.num_tokens,
        "seconds": round(record.seconds, 4),
        "worldSize": record.world_size,
    }


def _told(path: Path, history: History) -> list[dict[str, Any]]:
    """The lines of a history in order: a step before its evaluation's, the checkpoint's before the file's."""
    known = [*_whole_lines(path), *map(_step_line, history.records)]
    lines = {(line["step"], "samples" not in line): line for line in known if line["step"] <= history.step}
    return [lines[place] for place in sorted(lines)]


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of the file, but for one that a kill cut short."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            yield value


class TensorBoardFiles:
    """Loss, learning rate, gradient norm, throughput and evaluation as TensorBoard scalars."""

    def __init__(self, directory: Path, *, resumed_step: int) -> None:
        # imported here: it takes a second, and only the first rank writes
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(  # type: ignore[no-untyped-call]
            str(directory / TENSORBOARD), purge_step=resumed_step + 1, flush_secs=30
        )
        self._eval_step: int | None = None

    def report(self, report: Report, *, urgent: bool) -> None:
        """Writes an evaluation."""
        if report.eval_loss is not None and report.eval_step != self._eval_step:
            self._eval_step = report.eval_step
            self._writer.add_scalar("eval/loss", report.eval_loss, report.eval_step)

    def step(self, record: StepRecord) -> None:
        """Writes the scalars of a step."""
        self._writer.add_scalar("train/loss", record.loss, record.step)
        self._writer.add_scalar("train/learning_rate", record.learning_rate, record.step)
        self._writer.add_scalar("train/gradient_norm", record.gradient_norm, record.step)
        self._writer.add_scalar("train/tokens_per_second", record.num_tokens / record.seconds, record.step)

    def close(self) -> None:
        """Closes the files."""
        self._writer.close()
