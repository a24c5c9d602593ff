"""Which runs share an estimate that was made before."""

from pathlib import Path
from typing import Any

import pytest

from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.engine.machine import machine_of
from llmfinetune_trainer.estimate.limits import Limits
from llmfinetune_trainer.estimate.stored import estimate_path

RUN: dict[str, Any] = {
    "name": "medical",
    "model": {"source": "hf://owner/model"},
    "dataset": {"source": "hf://owner/data"},
    "method": {"lora": {}},
}


def place(**changes: Any) -> Path:
    config = RunConfig.model_validate({**RUN, **changes})
    limits, machine = Limits(memory=1 << 30, source="--memory"), machine_of("", {})
    return estimate_path(config, Layout(Path("w")), key="k", limits=limits, machine=machine, threads=2)


def test_the_same_run_finds_its_estimate_again() -> None:
    assert place() == place()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"model": {**RUN["model"], "quantization": "int8"}}, id="a quantised base"),
        pytest.param({"method": {"lora": {"rank": 16}}}, id="another rank"),
        pytest.param({"runtime": {"microBatchTokens": 512}}, id="smaller micro-batches"),
    ],
)
def test_what_changes_memory_or_time_is_estimated_anew(changes: dict[str, Any]) -> None:
    assert place(**changes) != place()
