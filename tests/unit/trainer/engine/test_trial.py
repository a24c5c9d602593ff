"""Which backend `auto` takes where both can run."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llmfinetune_trainer.engine import trial
from llmfinetune_trainer.engine.backend import Backend
from llmfinetune_trainer.engine.machine import Machine

OPEN = Backend(name="torch", precision="fp32", isa="avx2")
GPT2 = "model type gpt2 is none of llama"


def fail() -> Mapping[Any, float]:
    raise AssertionError("measured though nothing was open")


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial.intel, "is_installed", lambda: True)


@pytest.mark.parametrize(
    ("backend", "obstacle", "reason"),
    [
        (OPEN._replace(name="ipex", reason="asked for"), GPT2, "asked for"),
        (OPEN._replace(reason="asked for"), None, "asked for"),
        (OPEN, None, "the fused engine computes this model"),
        (OPEN._replace(device="cuda"), "the device is cuda", "is for processors"),
    ],
    ids=["ipex asked for", "torch asked for", "fused", "accelerator"],
)
def test_nothing_is_measured_where_nothing_is_open(
    backend: Backend, obstacle: str | None, reason: str, tmp_path: Path
) -> None:
    found = trial.settled(backend, obstacle=obstacle, path=tmp_path / "verdict.json", measure=fail)
    assert found.name == backend.name
    assert reason in found.reason
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_measured_without_the_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial.intel, "is_installed", lambda: False)
    found = trial.settled(OPEN, obstacle=GPT2, path=tmp_path / "verdict.json", measure=fail)
    assert (found.name, found.reason) == ("torch", "Intel's extension is not installed")


@pytest.mark.parametrize(
    ("seconds", "name"),
    [({"torch": 0.2, "ipex": 0.1}, "ipex"), ({"torch": 0.1, "ipex": 0.2}, "torch")],
    ids=["ipex", "torch"],
)
def test_the_faster_one_is_taken_and_kept(seconds: Mapping[Any, float], name: str, tmp_path: Path) -> None:
    path = tmp_path / "backends" / "verdict.json"
    found = trial.settled(OPEN, obstacle=GPT2, path=path, measure=lambda: seconds)
    assert found.name == name
    assert f"torch {seconds['torch']:.3f} s" in found.reason
    assert f"ipex {seconds['ipex']:.3f} s" in found.reason
    assert trial.settled(OPEN, obstacle=GPT2, path=path, measure=fail) == found


def test_a_measurement_that_fails_leaves_plain_torch(tmp_path: Path) -> None:
    def measure() -> Mapping[Any, float]:
        raise subprocess.TimeoutExpired("python", 1.0)

    found = trial.settled(OPEN, obstacle=GPT2, path=tmp_path / "verdict.json", measure=measure)
    assert found.name == "torch"
    assert "TimeoutExpired" in found.reason


def test_a_damaged_verdict_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    path.write_text("{")
    measure = {"torch": 0.2, "ipex": 0.1}
    assert trial.settled(OPEN, obstacle=GPT2, path=path, measure=lambda: measure).name == "ipex"


def test_another_processor_is_measured_for_itself() -> None:
    layout, model = trial.Layout(Path("volume")), Path("model")
    paths = {
        trial.verdict_path(layout, OPEN, model_path=model, machine=Machine("avx2", {"cpu": False}, name))
        for name in ("one", "another")
    }
    assert len(paths) == 2
