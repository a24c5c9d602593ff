"""`evaluate` and `generate` with an adapter of the user: what is missing or unfit is told first, and is no
defect of the program."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmfinetune_trainer.cli import main
from llmfinetune_trainer.cli.generate_command import trained_template

from .tiny_model import make_tiny_model

pytestmark = [
    pytest.mark.timeout(300),  # importing torch takes long on a busy machine
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and its bindings, not ours
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]

ROWS = [{"instruction": f"add {n}", "input": "", "output": f"{n + n}"} for n in range(40)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is trained to its end: `run.json`, `model` and `workspace`."""
    root = tmp_path_factory.mktemp("place")
    (root / "data.json").write_text(json.dumps(ROWS), encoding="utf-8")
    config = {
        "name": "tiny",
        "model": {"source": str(make_tiny_model(root / "model"))},
        "dataset": {"source": str(root / "data.json"), "validationSplit": 0.1},
        "method": {"lora": {"rank": 2, "alpha": 4}},
        "training": {"maxSteps": 1, "batchSize": 8, "precision": "fp32"},
    }
    (root / "run.json").write_text(json.dumps(config), encoding="utf-8")
    assert main(["train", *_run(root)]) == 0
    return root


def _run(place: Path) -> list[str]:
    return ["--config", str(place / "run.json"), "--workspace", str(place / "workspace")]


@pytest.fixture
def adapter(place: Path, tmp_path: Path) -> Callable[..., Path]:
    """The run's adapter with changes to its configuration."""

    def changed(**changes: Any) -> Path:
        copy = shutil.copytree(place / "workspace/output/adapter", tmp_path / "adapter")
        config = json.loads((copy / "adapter_config.json").read_text())
        (copy / "adapter_config.json").write_text(json.dumps(config | changes))
        return copy

    return changed


def test_the_runs_own_adapter_is_evaluated(
    place: Path, adapter: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    figures = []
    for named in ([], ["--adapter", str(adapter())]):
        assert main(["evaluate", *_run(place), *named, "--output", "json"]) == 0
        figures.append(json.loads(capsys.readouterr().out))
    assert figures[0] == figures[1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lora_alpha": 16}, "scale of the update (method.lora.alpha / rank): 8 there, 2 here"),
        ({"base_model_name_or_path": "another"}, "base model: another there"),
    ],
    ids=["another alpha", "another base"],
)
def test_an_adapter_whose_figures_would_be_wrong_is_not_evaluated(
    changes: dict[str, Any],
    says: str,
    place: Path,
    adapter: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llmfinetune_trainer.cli.evaluate_command.open_model", None)
    assert main(["evaluate", *_run(place), "--adapter", str(adapter(**changes))]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["evaluate", "RUN", "--adapter", "absent"], "absent holds no LoRA adapter that can be read"),
        (["generate", "MODEL", "--prompt", "q", "--adapter", "absent"], "there is no adapter in absent"),
        (["generate", "MODEL", "--questions", "absent.jsonl"], "cannot read absent.jsonl"),
        (["generate", "--model", "absent", "--prompt", "q"], "no model at absent"),
    ],
    ids=["evaluate, no adapter", "generate, no adapter", "no questions", "no model"],
)
def test_a_path_that_is_not_there_is_the_users_error(
    arguments: list[str],
    says: str,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llmfinetune_trainer.cli.evaluate_command.open_model", None)
    known = {"RUN": _run(place), "MODEL": ["--model", str(place / "model")]}
    assert main([part for word in arguments for part in known.get(word, [word])]) == 2
    assert says in capsys.readouterr().err


def test_an_adapter_of_another_shape_is_the_users_error(
    place: Path, adapter: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--model", str(place / "model"), "--adapter", str(adapter(r=4))]
    assert main(["generate", *named, "--prompt", "q"]) == 2
    assert "cannot be put on this model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lineage", "template"),
    [
        ('{"template": "alpaca"}', "alpaca"),
        ('{"template": "plain"}', "plain"),
        ("{}", "auto"),
        ('{"template": "other"}', "auto"),
        ("[", "auto"),
        (None, "auto"),
    ],
    ids=["alpaca", "plain", "untold", "unknown", "damaged", "no lineage"],
)
def test_the_template_is_the_one_of_the_training(lineage: str | None, template: str, tmp_path: Path) -> None:
    if lineage is not None:
        (tmp_path / "lineage.json").write_text(lineage)
    assert trained_template(tmp_path) == template
