"""Progress as files on the volume: `metrics.jsonl`, one line a step or evaluation, and TensorBoard events."""

import json
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from llmfinetune_trainer.atomic import write_atomically
from llmfinetune_trainer.config.messages import Report
from llmfinetune_trainer.perplexity import perplexity
from llmfinetune_trainer.report.sink import StepRecord

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"

log = logging.getLogger(__name__)


class MetricsFile:
    """Appends lines to `metrics.jsonl`. Lines after the step that training resumes from are dropped first, so
    that the file holds every step of the weights' history exactly once.
    """

    def __init__(self, directory: Path, *, resumed_step: int, metrics: Collection[str] = ("loss",)) -> None:
        self._metrics = frozenset(metrics)
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / METRICS
        if path.exists():
            write_atomically(path, "".join(_lines_up_to(path, resumed_step)))
        self._file = path.open("a", encoding="utf-8")
        self._eval_loss: tuple[int, float] | None = None

    def report(self, report: Report, *, urgent: bool) -> None:
        """Writes a line for every new evaluation."""
        if report.phase != "Evaluating" or report.eval_loss is None:
            return
        evaluation = (report.step, report.eval_loss)
        if evaluation != self._eval_loss:
            self._eval_loss = evaluation
            figures = {"loss": report.eval_loss, "perplexity": perplexity(report.eval_loss)}
            chosen = {f"eval{name.title()}": figures[name] for name in figures if name in self._metrics}
            self._write({"step": report.step, **chosen})

    def step(self, record: StepRecord) -> None:
        """Writes a line."""
        self._write(
            {
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
        )

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            log.warning("%s not written: %s", METRICS, error)


def _lines_up_to(path: Path, step: int) -> list[str]:
    """Whole lines of steps up to and including `step`; a line that a kill cut short is dropped."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    return kept


class TensorBoardFiles:
    """Loss, learning rate, gradient norm, throughput and evaluation as TensorBoard scalars."""

    def __init__(self, directory: Path, *, resumed_step: int) -> None:
        # imported here: it takes a second, and only the first rank writes
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(  # type: ignore[no-untyped-call]
            str(directory / TENSORBOARD), purge_step=resumed_step + 1, flush_secs=30
        )

    def report(self, report: Report, *, urgent: bool) -> None:
        """Writes an evaluation."""
        if report.phase == "Evaluating" and report.eval_loss is not None:
            self._writer.add_scalar("eval/loss", report.eval_loss, report.step)

    def step(self, record: StepRecord) -> None:
        """Writes the scalars of a step."""
        self._writer.add_scalar("train/loss", record.loss, record.step)
        self._writer.add_scalar("train/learning_rate", record.learning_rate, record.step)
        self._writer.add_scalar("train/gradient_norm", record.gradient_norm, record.step)
        self._writer.add_scalar("train/tokens_per_second", record.num_tokens / record.seconds, record.step)

    def close(self) -> None:
        """Closes the files."""
        self._writer.close()
