"""A whole run on one machine: from prepared data to adapter and result manifest, also stopped midway."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from llmfinetune_trainer.cli import main
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.messages import NO_CHECKPOINT, CheckpointFacts, Result
from llmfinetune_trainer.config.run import ModelConfig, OutputConfig, RunConfig, RuntimeConfig
from llmfinetune_trainer.engine import session
from llmfinetune_trainer.engine.distributed import Alone
from llmfinetune_trainer.engine.stop import StopSignal, preempted
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.export import files_digest
from llmfinetune_trainer.prepare import prepare

from ..tiny_model import make_tiny_model
from .tiny import Recorder

ROWS = [{"instruction": f"add {n}", "input": "", "output": f"{n + n}"} for n in range(40)]


class StopAtStep(StopSignal):
    """Is told to stop when the recorder has seen so many steps."""

    def __init__(self, recorder: Recorder, step: int) -> None:
        super().__init__()
        self.recorder, self.step = recorder, step

    def check(self) -> None:
        if len(self.recorder.steps) >= self.step:
            raise preempted()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    directory = tmp_path_factory.mktemp("source")
    (directory / "data.json").write_text(json.dumps(ROWS), encoding="utf-8")
    values = {
        "name": "tiny",
        "model": {"source": str(make_tiny_model(directory / "model"))},
        "dataset": {"source": str(directory / "data.json"), "validationSplit": 0.1},
        "method": {"lora": {"rank": 2}},
        "training": {"epochs": 1, "batchSize": 8, "learningRate": 0.01, "precision": "fp32"},
        "checkpoint": {"everySteps": 2},
    }
    return RunConfig.model_validate(values)


def run(
    config: RunConfig, layout: Layout, *, recorder: Recorder, stop_at: int = 1000, attempt: str = "1"
) -> Result:
    prepare(config, layout, token=None, progress=lambda line: None)
    return session.train(
        session.Run(
            config=config,
            layout=layout,
            attempt=attempt,
            ranks=Alone(),
            make_sinks=lambda history: [recorder],
            stop=StopAtStep(recorder, stop_at),
        )
    )


def test_a_run_ends_with_an_adapter_and_a_manifest_that_matches_it(config: RunConfig, tmp_path: Path) -> None:
    layout, recorder = Layout(tmp_path), Recorder()
    result = run(config, layout, recorder=recorder)
    assert Result.model_validate_json(layout.result.read_text()) == result
    assert result.sha256 == files_digest(layout.adapter)
    assert (result.steps, result.attempt, result.adapter) == (5, "1", "output/adapter")
    assert result.eval_loss_before is not None
    lineage = json.loads((layout.adapter / "lineage.json").read_text())
    assert lineage["base"]["revision"] == result.base_revision != ""
    assert lineage["dataset"]["rows"] == 36
    assert lineage["template"] == "alpaca"
    card = (layout.adapter / "README.md").read_text()
    assert "| Training | 5 steps of 8 samples" in card
    assert "| Held-out loss |" in card
    assert [report.phase for report in recorder.reports][-1] == "Exporting"
    assert recorder.reports[-1].result == result


def test_what_a_killed_export_left_is_removed(config: RunConfig, tmp_path: Path) -> None:
    left = tmp_path / "output" / ".incomplete-merged-0a1b2c3d"
    left.mkdir(parents=True)
    run(config, Layout(tmp_path), recorder=Recorder())
    assert not left.exists()


def test_phases_without_steps_tell_how_far_they_are(config: RunConfig, tmp_path: Path) -> None:
    recorder = Recorder()
    merging = config.model_copy(
        update={"output": OutputConfig(merge=True), "runtime": RuntimeConfig(micro_batch_tokens=64)}
    )
    run(merging, Layout(tmp_path), recorder=recorder)
    for phase in ("Evaluating", "Exporting"):
        told = {report.phase_percent for report in recorder.reports if report.phase == phase}
        assert {0, 100} < told, phase
    assert {report.phase_percent for report in recorder.reports if report.phase == "Training"} == {0}


def test_a_stopped_run_goes_on_where_it_was_and_ends_the_same(config: RunConfig, tmp_path: Path) -> None:
    whole, first, second = Recorder(), Recorder(), Recorder()
    expected = run(config, Layout(tmp_path / "whole"), recorder=whole)
    layout = Layout(tmp_path / "stopped")
    with pytest.raises(RunError, match="told to stop"):
        run(config, layout, recorder=first, stop_at=3)
    assert first.reports[-1].failure is not None
    result = run(config, layout, recorder=second)
    assert [*first.losses, *second.losses] == whole.losses
    weights = "adapter_model.safetensors"
    assert (layout.adapter / weights).read_bytes() == (
        tmp_path / "whole/output/adapter" / weights
    ).read_bytes()
    assert result.eval_loss == expected.eval_loss


def truncate_newest(layout: Layout) -> None:
    file = max(layout.checkpoints.iterdir()) / "adapter.safetensors"
    file.write_bytes(file.read_bytes()[:-3])


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda layout: None, 3),
        (truncate_newest, 2),
        (lambda layout: shutil.rmtree(layout.checkpoints), NO_CHECKPOINT),
    ],
    ids=["nothing", "the newest is truncated", "all are gone"],
)
def test_a_run_tells_at_its_start_which_checkpoint_is_there(
    damage: Callable[[Layout], None], found: object, config: RunConfig, tmp_path: Path
) -> None:
    layout, first, second = Layout(tmp_path), Recorder(), Recorder()
    with pytest.raises(RunError, match="told to stop"):
        run(config, layout, recorder=first, stop_at=3)
    damage(layout)
    run(config, layout, recorder=second)
    told = [next(report for report in each.reports if report.runtime).checkpoint for each in (first, second)]
    assert [step_of(checkpoint) for checkpoint in told] == [NO_CHECKPOINT, found]


def step_of(checkpoint: object) -> object:
    return checkpoint.step if isinstance(checkpoint, CheckpointFacts) else checkpoint


def test_smaller_micro_batches_go_on_from_the_same_checkpoint_along_the_same_curve(
    config: RunConfig, tmp_path: Path
) -> None:
    whole, first, second = Recorder(), Recorder(), Recorder()
    expected = run(config, Layout(tmp_path / "whole"), recorder=whole)
    with pytest.raises(RunError, match="told to stop"):
        run(config, Layout(tmp_path / "stopped"), recorder=first, stop_at=3)
    smaller = config.model_copy(update={"runtime": RuntimeConfig(micro_batch_tokens=64)})
    result = run(smaller, Layout(tmp_path / "stopped"), recorder=second)
    assert [*first.losses, *second.losses] == pytest.approx(whole.losses, rel=1e-5)
    assert result.eval_loss == pytest.approx(expected.eval_loss, rel=1e-5)


def test_samples_that_cannot_share_a_sequence_are_computed_one_at_a_time(
    config: RunConfig, tmp_path: Path
) -> None:
    directory, recorder, alone = make_tiny_model(tmp_path / "model"), Recorder(), Recorder()
    shape = AutoConfig.for_model(
        "lfm2", vocab_size=260, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, layer_types=["conv", "full_attention"],
        eos_token_id=0, bos_token_id=0,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(shape).save_pretrained(directory)
    plain = RuntimeConfig(backend="torch")  # what may be faster, Intel's, would stay in this process
    convolving = config.model_copy(update={"model": ModelConfig(source=str(directory)), "runtime": plain})
    run(convolving, Layout(tmp_path / "packed"), recorder=recorder)
    facts = recorder.reports[-1].runtime
    assert facts is not None
    assert facts.engine == "general"
    assert "one sample at a time, because its layers carry one document on" in facts.engine_reason
    unpacked = config.training.model_copy(update={"packing": False})
    run(convolving.model_copy(update={"training": unpacked}), Layout(tmp_path / "alone"), recorder=alone)
    assert recorder.losses == alone.losses


@pytest.mark.parametrize(
    ("limit", "tokens", "recompute"),
    [("100Gi", 2048, False), ("1Mi", 256, True)],
    ids=["room for everything", "no room"],
)
def test_memory_decides_how_to_compute_and_not_what(
    limit: str,
    tokens: int,
    recompute: bool,
    config: RunConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder, plain = Recorder(), Recorder()
    run(config, Layout(tmp_path / "plain"), recorder=plain)
    monkeypatch.setenv("LLMFINETUNE_WORKER_MEMORY", limit)
    run(config, Layout(tmp_path / "limited"), recorder=recorder)
    facts = recorder.reports[-1].runtime
    assert facts is not None
    assert (facts.micro_batch_tokens, facts.recompute) == (tokens, recompute)
    assert recorder.losses == pytest.approx(plain.losses, rel=1e-5)


def test_a_finished_attempt_is_not_trained_again(config: RunConfig, tmp_path: Path) -> None:
    layout, again = Layout(tmp_path), Recorder()
    result = run(config, layout, recorder=Recorder())
    assert run(config, layout, recorder=again) == result
    assert again.steps == []
    assert again.reports[-1].result == result


@pytest.mark.parametrize("what", ["adapter changed", "another attempt"])
def test_a_result_that_does_not_belong_is_made_again(what: str, config: RunConfig, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    run(config, layout, recorder=Recorder())
    if what == "adapter changed":
        (layout.adapter / "README.md").write_text("edited")
    attempt = "2" if what == "another attempt" else "1"
    again = run(config, layout, recorder=Recorder(), attempt=attempt)
    assert again.attempt == attempt
    assert again.sha256 == files_digest(layout.adapter)


def test_another_learning_rate_does_not_go_on_from_old_checkpoints(config: RunConfig, tmp_path: Path) -> None:
    run(config, Layout(tmp_path), recorder=Recorder())
    changed = config.training.model_copy(update={"learning_rate": 0.02})
    with pytest.raises(RunError, match="another model, data set or setting"):
        run(config.model_copy(update={"training": changed}), Layout(tmp_path), recorder=Recorder())


def test_generate_answers_with_and_without_the_adapter(
    config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(config, Layout(tmp_path), recorder=Recorder())
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"instruction": "add 3"}\n{"question": "add 4"}\n')
    arguments = ["generate", "--workspace", str(tmp_path), "--questions", str(questions), "--compare"]
    arguments += ["--max-tokens", "4", "--output", "json"]
    code = main([*arguments, "--template", "alpaca"])
    answers: list[dict[str, Any]] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 0
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == answers, "auto is the template it learnt"
    assert [answer["question"] for answer in answers] == ["add 3", "add 4"]
    assert all(isinstance(answer[key], str) for answer in answers for key in ("before", "after"))
