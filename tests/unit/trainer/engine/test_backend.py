"""What the computation runs on, chosen from configuration and processor."""

from typing import Literal

import pytest
import torch

from llmfinetune_trainer.config.run import LoraConfig, RuntimeConfig
from llmfinetune_trainer.engine import backend
from llmfinetune_trainer.engine.backend import (
    Backend,
    best_isa,
    choose_backend,
    choose_communication,
    gradient_computer,
)
from llmfinetune_trainer.engine.batches import micro_batch
from llmfinetune_trainer.errors import RunError

from .tiny import MemorySamples, adapted

ZEN4 = "processor : 0\nflags : fpu avx2 avx512f avx512_bf16\n"
HASWELL = "flags : fpu avx avx2\n"
GRAVITON = "Features : fp asimd bf16\n"


CHOOSE = {
    "backend": lambda runtime: choose_backend(runtime, precision="auto", cpuinfo=ZEN4),
    "communication": choose_communication,
}


@pytest.mark.parametrize(
    ("cpuinfo", "isa", "precision"),
    [
        (ZEN4, "avx512_bf16", "bf16"),
        (HASWELL, "avx2", "fp32"),
        (GRAVITON, "bf16", "bf16"),
        ("", "generic", "fp32"),
    ],
    ids=["with bf16", "without", "Arm", "unknown"],
)
def test_precision_follows_the_processor(cpuinfo: str, isa: str, precision: str) -> None:
    chosen = choose_backend(RuntimeConfig(), precision="auto", cpuinfo=cpuinfo)
    assert (best_isa(cpuinfo), chosen.isa, chosen.precision) == (isa, isa, precision)


def test_precision_that_is_asked_for_is_taken() -> None:
    assert choose_backend(RuntimeConfig(), precision="fp32", cpuinfo=ZEN4).dtype is torch.float32


@pytest.mark.parametrize("field", ["backend", "communication"])
def test_what_is_asked_for_and_not_installed_is_an_error(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    runtime = RuntimeConfig.model_validate({field: {"backend": "ipex", "communication": "ccl"}[field]})
    with pytest.raises(RunError, match=f"runtime.{field}"):
        CHOOSE[field](runtime)


def test_gloo_is_what_runs_without_ccls_bindings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    assert choose_communication(RuntimeConfig()) == "gloo"


@pytest.mark.parametrize(
    ("architecture", "name", "engine"),
    [("llama", "torch", "fused"), ("qwen2", "torch", "fused"), ("gpt2", "torch", "general")],
)
def test_the_fast_path_computes_what_it_can(architecture: str, name: Literal["torch"], engine: str) -> None:
    targets = ["c_attn", "c_fc"] if architecture == "gpt2" else ["q_proj", "down_proj"]
    lora, batch = LoraConfig(rank=2, target_modules=targets), micro_batch(MemorySamples([12, 7]), [0, 1])
    model, adapters, general = adapted(architecture)
    expected = general.loss_sum(batch)
    chosen = Backend(name=name, precision="fp32", isa="avx2")
    computer, found = gradient_computer(chosen, model, adapters, lora=lora, max_length=20)
    assert found == engine
    assert computer.loss_sum(batch) == pytest.approx(expected, rel=1e-4)
