"""The estimate as users and the prepare Job meet it, on a tiny model."""

import json
from pathlib import Path

import pytest
import yaml

from llmfinetune_trainer.cli import main
from llmfinetune_trainer.config.messages import TerminationMessage
from tests.unit.trainer.tiny_model import make_tiny_model

ROWS = [{"instruction": f"add {n}", "input": "", "output": f"{n + n}"} for n in range(40)]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("source")
    (directory / "data.json").write_text(json.dumps(ROWS), encoding="utf-8")
    spec = {
        "model": {"source": str(make_tiny_model(directory / "model"))},
        "dataset": {"source": str(directory / "data.json"), "validationSplit": 0.1},
        "method": {"lora": {"rank": 2}},
        "training": {"epochs": 1, "batchSize": 8, "precision": "fp32"},
        "workers": {"replicas": 2, "resources": {"limits": {"memory": "2Gi"}}},
    }
    values = {"apiVersion": "llmfinetune.dev/v1alpha1", "kind": "LLMFineTune", "metadata": {"name": "tiny"}}
    path = directory / "finetune.yaml"
    path.write_text(yaml.safe_dump(values | {"spec": spec}), encoding="utf-8")
    return path


def test_estimates_before_and_after_preparation_agree(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["estimate", str(manifest), "--workspace", str(tmp_path), "--seconds", "0", "--json"]
    assert main(command) == 0
    before = json.loads(capsys.readouterr().out)
    assert main(["prepare", str(manifest), "--workspace", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(command) == 0
    after = json.loads(capsys.readouterr().out)
    assert (before["totalSteps"], before["workers"], before["limitBytes"]) == (5, 2, 2 << 30)
    assert before["tokensPerStep"] == pytest.approx(after["tokensPerStep"], rel=0.05)
    assert sum(part["bytes"] for part in before["memory"]) == pytest.approx(
        sum(part["bytes"] for part in after["memory"]), rel=0.01
    )
    assert before["totalSteps"] == after["totalSteps"]
    assert "secondsPerStep" not in before or before["secondsPerStep"] is None


def test_too_little_memory_is_an_error_with_the_table_before_it(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--workspace", str(tmp_path), "--seconds", "0", "--memory", "100Mi"]
    assert main(["estimate", str(manifest), *arguments]) == 2
    printed = capsys.readouterr()
    assert "limit                      100Mi  (--memory)" in printed.out
    assert "--memory allows 100Mi" in printed.err


def test_an_amount_that_is_none_is_refused(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", str(manifest), "--memory", "lots"]) == 2
    assert "--memory lots is no amount of memory" in capsys.readouterr().err


def test_preparation_leaves_the_estimate_for_the_operator_and_measures_once(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMFINETUNE_WORKER_MEMORY", "3Gi")
    log = tmp_path / "termination.json"
    command = ["prepare", str(manifest), "--workspace", str(tmp_path), "--termination-log", str(log)]
    assert main(command) == 0
    told = TerminationMessage.model_validate_json(log.read_text()).estimate
    assert told is not None
    assert told.memory_limit == "3.00Gi"
    assert told.seconds_per_step is not None
    (kept,) = (tmp_path / "prepared" / "estimates").iterdir()
    assert json.loads(kept.read_text())["limitBytes"] == 3 << 30
    assert main(command) == 0
    assert TerminationMessage.model_validate_json(log.read_text()).estimate == told


def test_preparation_refuses_too_little_memory_before_any_worker_starts(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMFINETUNE_WORKER_MEMORY", "64Mi")
    log = tmp_path / "termination.json"
    command = ["prepare", str(manifest), "--workspace", str(tmp_path), "--termination-log", str(log)]
    assert main(command) == 2
    failure = TerminationMessage.model_validate_json(log.read_text()).failure
    assert failure is not None
    assert (failure.category, failure.reason, failure.retryable) == ("UserError", "InsufficientMemory", False)
    assert "allows 64Mi" in failure.message
