"""Starting from another run: the same curve where it goes on, the same function where it starts warm, and a
clear word where it cannot."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llmfinetune_trainer.checkpoint.store import CheckpointStore, read_checkpoint
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.messages import Result
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.engine import session
from llmfinetune_trainer.engine.distributed import Alone
from llmfinetune_trainer.engine.stop import StopSignal
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.prepare import prepare
from llmfinetune_trainer.report.files import MetricsFile
from llmfinetune_trainer.report.sink import Sink

from ..tiny_model import make_tiny_model
from .tiny import Recorder

pytestmark = pytest.mark.timeout(300)  # importing torch takes long on a busy machine

ROWS = [{"instruction": f"add {n}", "input": "", "output": f"{n + n}"} for n in range(40)]
WEIGHTS = "output/adapter/adapter_model.safetensors"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sources")
    (directory / "data.json").write_text(json.dumps(ROWS), encoding="utf-8")
    (directory / "other.json").write_text(json.dumps(ROWS[:20]), encoding="utf-8")
    make_tiny_model(directory / "model")
    make_tiny_model(directory / "other-model")
    return directory


def config(sources: Path, **changes: Any) -> RunConfig:
    values: dict[str, Any] = {
        "name": "tiny",
        "model": {"source": str(sources / "model")},
        "dataset": {"source": str(sources / "data.json"), "validationSplit": 0.1},
        "method": {"lora": {"rank": 2, "alpha": 4}},
        "training": {
            "maxSteps": 6, "schedule": "constant", "batchSize": 8, "learningRate": 0.01, "precision": "fp32",
        },
        "checkpoint": {"everySteps": 2},
    }  # fmt: skip
    for key, value in changes.items():
        values[key] = values.get(key, {}) | value
    return RunConfig.model_validate(values)


def run(config: RunConfig, root: Path, recorder: Recorder | None = None) -> Result:
    layout = Layout(root)
    prepare(config, layout, token=None, progress=lambda line: None)

    def sinks(history: Any) -> list[Sink]:
        return [recorder or Recorder(), MetricsFile(layout.logs, history=history)]

    return session.train(
        session.Run(
            config=config, layout=layout, attempt="1", ranks=Alone(), make_sinks=sinks, stop=StopSignal()
        )
    )


@pytest.fixture(scope="module")
def short(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four steps."""
    root = tmp_path_factory.mktemp("short")
    run(config(sources, training={"maxSteps": 4}), root)
    return root


def logged(root: Path) -> list[int]:
    lines = [json.loads(line) for line in (root / "logs/metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if "samples" in line]


@pytest.mark.parametrize("below", ["", "checkpoints", "checkpoints/step-00000004"])
def test_a_run_that_continues_another_equals_one_that_was_never_divided(
    below: str, sources: Path, short: Path, tmp_path: Path
) -> None:
    whole, rest = Recorder(), Recorder()
    run(config(sources), tmp_path / "whole", whole)
    result = run(config(sources, resumeFrom={"source": str(short / below)}), tmp_path / "rest", rest)
    assert rest.losses == whole.losses[4:]
    assert (tmp_path / "rest" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert result.steps == 6
    assert logged(tmp_path / "rest") == [1, 2, 3, 4, 5, 6]


@pytest.fixture(scope="module")
def ended(sources: Path, short: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a run of one epoch, 36 samples: its fifth batch has four of eight."""
    root = tmp_path_factory.mktemp("ended")
    one_epoch = {"maxSteps": None, "epochs": 1}
    run(config(sources, training=one_epoch, resumeFrom={"source": str(short)}), root)
    return root / "checkpoints"


def test_a_run_that_ended_in_a_smaller_batch_is_continued_from_before_it(
    sources: Path, short: Path, ended: Path, tmp_path: Path
) -> None:
    shutil.copytree(short / "checkpoints/step-00000004", tmp_path / "checkpoints/step-00000004")
    shutil.copytree(ended / "step-00000005", tmp_path / "checkpoints/step-00000005")
    two_epochs, whole, rest = {"maxSteps": None, "epochs": 2}, Recorder(), Recorder()
    run(config(sources, training=two_epochs), tmp_path / "whole", whole)
    run(config(sources, training=two_epochs, resumeFrom={"source": str(tmp_path)}), tmp_path / "rest", rest)
    assert rest.losses == whole.losses[4:]
    assert rest.steps[-1].cursor == 72


def test_a_smaller_batch_with_nothing_before_it_is_not_continued(
    sources: Path, ended: Path, tmp_path: Path
) -> None:
    resume = {"source": str(ended / "step-00000005")}
    with pytest.raises(RunError, match=r"fewer samples than training\.batchSize = 8") as caught:
        run(config(sources, training={"maxSteps": None, "epochs": 2}, resumeFrom=resume), tmp_path)
    assert caught.value.failure.reason == "ResumeFromMismatch"
    assert "warmStart" in caught.value.failure.hint


def test_what_auto_came_to_may_be_said_in_words(sources: Path, short: Path, tmp_path: Path) -> None:
    words = {"format": "alpaca", "template": "alpaca"}
    said = config(sources, dataset=words, resumeFrom={"source": str(short)})
    prepare(said, Layout(tmp_path), token=None, progress=lambda line: None)
    assert (tmp_path / "origin/step-00000004").exists()


def test_an_interrupted_continuation_goes_on_from_its_own_checkpoints(
    sources: Path, short: Path, tmp_path: Path
) -> None:
    again, recorder = config(sources, resumeFrom={"source": str(short)}), Recorder()
    run(again, tmp_path)
    shutil.rmtree(tmp_path / "output")
    run(again, tmp_path, recorder)
    assert recorder.steps == []


@pytest.mark.parametrize("what", ["a finished run", "its adapter", "a checkpoint"])
def test_a_warm_start_begins_with_the_adapters_weights_and_at_step_0(
    what: str, sources: Path, short: Path, tmp_path: Path
) -> None:
    below = {"its adapter": "output/adapter", "a checkpoint": "checkpoints/step-00000004"}.get(what, "")
    resume = {"source": str(short / below), "mode": "warmStart"}
    other = {"source": str(sources / "other.json")}
    warm = config(sources, resumeFrom=resume, dataset=other, training={"seed": 1, "learningRate": 1e-9})
    recorder = Recorder()
    run(warm, tmp_path, recorder)
    assert [record.step for record in recorder.steps] == [1, 2, 3, 4, 5, 6]
    ours, theirs = load_file(tmp_path / WEIGHTS), load_file(short / WEIGHTS)
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"training": {"seed": 7}}, ["training.seed: 42 there, 7 here"]),
        ({"training": {"batchSize": 32}}, ["training.batchSize: 8 there, 32 here"]),
        ({"method": {"lora": {"rank": 4, "alpha": 4}}}, ["method.lora.rank: 2 there, 4 here"]),
        (
            {"dataset": {"validationSplit": 0.2}, "training": {"maxSequenceLength": 256}},
            [
                "dataset.validationSplit: 0.1 there, 0.2 here",
                "training.maxSequenceLength: 512 there, 256 here",
            ],
        ),
        ({"dataset": {"source": "other.json"}}, ["the prepared data: sha256:"]),
        ({"model": {"source": "other-model"}}, ["the base model: "]),
        ({"training": {"maxSteps": 4}}, ["all 32 samples of this run behind it", "raise training.epochs"]),
    ],
    ids=["seed", "another batch size", "rank", "two settings", "data", "model", "nothing left to train"],
)
def test_what_cannot_be_continued_is_named_before_anything_is_computed(
    changes: dict[str, Any], says: list[str], sources: Path, short: Path, tmp_path: Path
) -> None:
    for part in changes.values():
        if "source" in part:
            part["source"] = str(sources / part["source"])
    with pytest.raises(RunError) as caught:
        run(config(sources, resumeFrom={"source": str(short)}, **changes), tmp_path)
    assert all(each in str(caught.value) for each in says)
    assert caught.value.failure.category == "UserError"
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    ("lora", "says"),
    [
        ({"rank": 4, "alpha": 8}, "method.lora.rank: 2 there, 4 here"),
        ({"rank": 2, "alpha": 8}, "scale of the update (method.lora.alpha / rank): 2 there, 4 here"),
        ({"rank": 2, "alpha": 4, "targetModules": ["q_proj"]}, "4 weights have no place here"),
        ({"rank": 2, "alpha": 4, "targetModules": ["q_proj", "k_proj", "v_proj"]}, "4 weights are missing"),
    ],
    ids=["rank", "scale", "fewer layers", "more layers"],
)
def test_an_adapter_that_does_not_fit_says_why(
    lora: dict[str, Any], says: str, sources: Path, short: Path, tmp_path: Path
) -> None:
    resume = {"source": str(short / "output/adapter"), "mode": "warmStart"}
    with pytest.raises(RunError, match="does not fit this fine-tune") as caught:
        run(config(sources, resumeFrom=resume, method={"lora": lora}), tmp_path)
    assert says in str(caught.value)


def test_an_adapter_of_another_model_is_refused(sources: Path, short: Path, tmp_path: Path) -> None:
    resume = {"source": str(short), "mode": "warmStart"}
    model = {"source": str(sources / "other-model")}
    with pytest.raises(RunError, match=r"base model: .*/model there, .*/other-model here"):
        run(config(sources, resumeFrom=resume, model=model), tmp_path)


def test_an_adapter_with_layers_of_another_size_is_refused(
    sources: Path, short: Path, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(short / "output/adapter", adapter)
    weights = load_file(adapter / "adapter_model.safetensors")
    wider = {name: weight.repeat(1, 2) if "lora_A" in name else weight for name, weight in weights.items()}
    save_file(wider, adapter / "adapter_model.safetensors")
    with pytest.raises(RunError, match="has 32 inputs and 16 outputs there"):
        run(config(sources, resumeFrom={"source": str(adapter), "mode": "warmStart"}), tmp_path / "run")


@pytest.mark.parametrize(
    ("resume", "says"),
    [
        ({"source": "absent"}, "does not exist"),
        ({"source": "empty"}, "holds no whole checkpoint; there is nothing"),
        ({"source": "empty", "mode": "warmStart"}, "holds neither an adapter nor a whole checkpoint"),
        ({"source": "adapter", "mode": "warmStart"}, "holds no LoRA adapter that can be read"),
        ({"fineTune": "first"}, "can be found only in a cluster"),
    ],
    ids=[
        "no such path",
        "empty directory",
        "empty directory, warm",
        "no weights",
        "a name without a cluster",
    ],
)
def test_nothing_to_start_from_says_what_is_there(
    resume: dict[str, str], says: str, sources: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/adapter_config.json").write_text("{}")
    if "source" in resume:
        resume = resume | {"source": str(tmp_path / resume["source"])}
    with pytest.raises(RunError, match=says) as caught:
        run(config(sources, resumeFrom=resume), tmp_path / "run")
    assert caught.value.failure.category == "UserError"


def test_a_torn_checkpoint_of_the_other_run_is_left_alone_and_the_one_before_taken(
    sources: Path, short: Path, tmp_path: Path
) -> None:
    shutil.copytree(short / "checkpoints", tmp_path / "checkpoints")
    torn = tmp_path / "checkpoints/step-00000004/state.json"
    torn.write_text(torn.read_text()[:-2])
    run(config(sources, resumeFrom={"source": str(tmp_path)}), tmp_path / "run")
    origin = CheckpointStore(tmp_path / "run/origin", keep=1).newest()
    assert origin is not None
    assert read_checkpoint(origin).step == 2
    assert torn.exists()


def test_preparing_again_takes_nothing_over_again(sources: Path, short: Path, tmp_path: Path) -> None:
    shutil.copytree(short / "checkpoints", tmp_path / "other/checkpoints")
    again = config(sources, resumeFrom={"source": str(tmp_path / "other")})
    prepare(again, Layout(tmp_path), token=None, progress=lambda line: None)
    shutil.rmtree(tmp_path / "other/checkpoints")
    prepare(again, Layout(tmp_path), token=None, progress=lambda line: None)
    assert (tmp_path / "origin/step-00000004").exists()
