"""The metrics file and the lines for people."""

import io
import json
from pathlib import Path

import pytest

from llmfinetune_trainer.config.messages import Report
from llmfinetune_trainer.engine.history import LossHistory
from llmfinetune_trainer.report.files import MetricsFile
from llmfinetune_trainer.report.sink import History, StepRecord
from llmfinetune_trainer.report.terminal import LogLines, duration, facts_line

pytestmark = [
    pytest.mark.timeout(300),  # importing torch takes long on a busy machine
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and its bindings, not ours
]


def record(step: int) -> StepRecord:
    return StepRecord(
        step=step, epoch=0.1 * step, cursor=8 * step, samples="ab", loss=2.0, learning_rate=1e-3,
        gradient_norm=1.0, num_tokens=100, seconds=0.5, world_size=1,
    )  # fmt: skip


def steps(directory: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_resumed_steps_are_in_the_file_once(tmp_path: Path) -> None:
    first = MetricsFile(tmp_path)
    for step in (1, 2, 3, 4):
        first.step(record(step))
    first.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    second = MetricsFile(tmp_path, history=History(step=2))
    for step in (3, 4, 5):
        second.step(record(step))
    second.close()
    assert steps(tmp_path) == [1, 2, 3, 4, 5]


def test_a_step_whose_line_died_with_its_writer_comes_from_the_checkpoint(tmp_path: Path) -> None:
    first = MetricsFile(tmp_path)
    for step in (1, 2):
        first.step(record(step))
    first.close()
    MetricsFile(tmp_path, history=History(step=3, records=[record(2), record(3)])).close()
    assert steps(tmp_path) == [1, 2, 3]
    (tmp_path / "metrics.jsonl").unlink()
    MetricsFile(tmp_path, history=History(step=3, records=[record(2), record(3)])).close()
    assert steps(tmp_path) == [2, 3]


def test_lines_that_two_writers_left_are_told_once_and_in_order(tmp_path: Path) -> None:
    lines = [{"step": 1, "samples": "a"}, {"step": 2, "evalLoss": 1.0}, {"step": 2, "samples": "b"}]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, *lines, {"step": 3, "samples": "c"}])
    (tmp_path / "metrics.jsonl").write_text(text + "[1]\n")
    MetricsFile(tmp_path, history=History(step=2)).close()
    told = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert told == [lines[0], lines[2], lines[1]]


@pytest.mark.parametrize(
    ("metrics", "figures"),
    [
        (["loss"], {"evalLoss": 2.5}),
        (["perplexity"], {"evalPerplexity": pytest.approx(12.18, abs=0.01)}),
        (["loss", "perplexity"], {"evalLoss": 2.5, "evalPerplexity": pytest.approx(12.18, abs=0.01)}),
    ],
    ids=["loss", "perplexity", "both"],
)
def test_an_evaluation_is_one_line(metrics: list[str], figures: dict[str, object], tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, metrics=metrics)
    report = Report(attempt="1", phase="Evaluating", step=4)
    evaluated = {"eval_step": 4, "eval_loss": 2.5}
    for step, changes in ((4, {}), (4, evaluated), (5, evaluated)):
        file.report(report.model_copy(update={"step": step, **changes}), urgent=True)
    file.close()
    again = MetricsFile(tmp_path, history=History(step=4))
    again.report(report.model_copy(update=evaluated), urgent=True)
    again.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 4, **figures}


def test_log_says_every_change_and_progress_now_and_then() -> None:
    stream, clock = io.StringIO(), iter([0.0, 1.0, 2.0, 20.0])
    lines = LogLines(stream, monotonic=lambda: next(clock))
    report = Report(attempt="1", phase="Training", total_steps=50)
    lines.report(report, urgent=True)
    lines.report(report.model_copy(update={"step": 1}), urgent=False)
    lines.report(report.model_copy(update={"step": 2, "phase": "Evaluating"}), urgent=True)
    lines.report(report.model_copy(update={"step": 3, "loss": 1.5}), urgent=False)
    assert stream.getvalue().splitlines() == [
        "Training: step 0/50",
        "Evaluating: step 2/50",
        "Training: step 3/50 loss 1.5000",
    ]


def test_facts_are_said_as_far_as_they_are_known() -> None:
    report = Report(
        attempt="1", phase="Training", loss=1.5, eval_loss=1.75, tokens_per_second=321.6, eta_seconds=725
    )
    assert facts_line(report) == "loss 1.5000 · eval 1.7500 · 322 tok/s · ETA 12m05s"


@pytest.mark.parametrize(("seconds", "text"), [(45, "45s"), (725, "12m05s"), (11_220, "3h07m")])
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("num_steps", [1, 19, 20, 21, 500, 12_345])
def test_history_stays_small_and_spans_the_run(num_steps: int) -> None:
    history = LossHistory()
    for step in range(1, num_steps + 1):
        history.add(step, float(step))
        history = LossHistory.from_json(json.loads(json.dumps(history.to_json())))
    points = history.points
    assert 1 <= len(points) <= 20
    assert len(points) >= min(num_steps, 10)
    assert points[-1].step > num_steps * 0.89 - 1
    assert [point.step for point in points] == sorted({point.step for point in points})
    assert points[0].loss == pytest.approx(sum(range(1, points[0].step + 1)) / points[0].step)
