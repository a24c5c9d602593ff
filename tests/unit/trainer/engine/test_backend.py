"""What the computation runs on, chosen from configuration and machine."""

import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from llmfinetune_trainer.config.run import LoraConfig, RuntimeConfig
from llmfinetune_trainer.engine import backend, intel
from llmfinetune_trainer.engine.backend import (
    Backend,
    choose_backend,
    choose_communication,
    gradient_computer,
)
from llmfinetune_trainer.engine.batches import micro_batch
from llmfinetune_trainer.engine.machine import Machine, Probe, best_isa, machine_of
from llmfinetune_trainer.errors import RunError

from .tiny import MemorySamples, adapted

ZEN4 = "processor : 0\nmodel name : A CPU\nflags : fpu avx2 avx512f avx512_bf16\n"
HASWELL = "flags : fpu avx avx2\n"
GRAVITON = "Features : fp asimd bf16\n"
PRESENT = Probe(is_there=lambda: True, has_bf16=lambda: True)
WITHOUT_BF16 = Probe(is_there=lambda: True, has_bf16=lambda: False)
ABSENT = Probe(is_there=lambda: False, has_bf16=lambda: pytest.fail("asked of what is not there"))
GPU_BOX = machine_of(HASWELL, {"cuda": PRESENT, "xpu": ABSENT})
PLAIN_BOX = machine_of(ZEN4, {"cuda": ABSENT, "xpu": ABSENT})


CHOOSE = {
    "backend": lambda runtime: choose_backend(runtime, precision="auto", machine=PLAIN_BOX),
    "communication": choose_communication,
}


def chosen(machine: Machine, precision: Literal["auto", "bf16", "fp32"] = "auto", **runtime: Any) -> Backend:
    return choose_backend(RuntimeConfig.model_validate(runtime), precision=precision, machine=machine)


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
    found = chosen(machine_of(cpuinfo, {}))
    assert (best_isa(cpuinfo), found.isa, found.precision) == (isa, isa, precision)


@pytest.mark.parametrize(
    ("probes", "device", "precision"),
    [
        ({"cuda": PRESENT, "xpu": PRESENT}, "cuda", "bf16"),
        ({"cuda": WITHOUT_BF16, "xpu": ABSENT}, "cuda", "fp32"),
        ({"cuda": ABSENT, "xpu": PRESENT}, "xpu", "bf16"),
        ({"cuda": ABSENT, "xpu": ABSENT}, "cpu", "fp32"),
    ],
    ids=["Nvidia before Intel", "an old Nvidia card", "Intel before none", "none"],
)
def test_auto_takes_the_first_device_that_is_there(probes: Any, device: str, precision: str) -> None:
    found = chosen(machine_of(HASWELL, probes))
    assert (found.device, found.precision) == (device, precision)


def test_the_processor_can_be_asked_for_beside_an_accelerator() -> None:
    assert chosen(GPU_BOX, device="cpu").device == "cpu"


def test_precision_that_is_asked_for_is_taken() -> None:
    assert chosen(PLAIN_BOX, "fp32").dtype is torch.float32
    assert chosen(PLAIN_BOX, "bf16").dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("machine", "precision", "runtime", "says"),
    [
        (PLAIN_BOX, "auto", {"device": "cuda"}, "runtime.device: cuda is not there: .* finds cpu"),
        (GPU_BOX, "auto", {"device": "xpu"}, "runtime.device: xpu is not there: .* finds cuda, cpu"),
        (GPU_BOX, "bf16", {"device": "cpu"}, "training.precision: bf16 .* the cpu .* has avx2"),
        (machine_of("", {"cuda": WITHOUT_BF16}), "bf16", {}, "training.precision: bf16 .* the cuda"),
        (GPU_BOX, "auto", {"backend": "ipex"}, "runtime.backend: ipex .* the device is cuda"),
    ],
    ids=["no accelerator", "another one", "an old processor", "an old card", "an extension for processors"],
)
def test_what_is_asked_for_and_missing_is_an_error(
    machine: Machine, precision: Any, runtime: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(RunError, match=says):
        chosen(machine, precision, **runtime)


@pytest.mark.parametrize("field", ["backend", "communication"])
def test_what_is_asked_for_and_not_installed_is_an_error(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    runtime = RuntimeConfig.model_validate({field: {"backend": "ipex", "communication": "ccl"}[field]})
    with pytest.raises(RunError, match=f"runtime.{field}"):
        CHOOSE[field](runtime)


@pytest.mark.parametrize(
    ("device", "wanted", "libraries", "expected"),
    [
        ("cpu", "auto", (), "gloo"),
        ("cuda", "auto", ("nccl",), "nccl"),
        ("cuda", "auto", (), "gloo"),
        ("cuda", "gloo", ("nccl",), "gloo"),
        ("xpu", "auto", ("xccl",), "xccl"),
        ("xpu", "auto", (), "gloo"),
    ],
)
def test_communication_follows_the_device(
    device: Any, wanted: str, libraries: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(backend.dist, "is_nccl_available", lambda: "nccl" in libraries)
    monkeypatch.setattr(backend.dist, "is_xccl_available", lambda: "xccl" in libraries)
    runtime = RuntimeConfig.model_validate({"communication": wanted})
    assert choose_communication(runtime, device=device) == expected


@pytest.fixture
def broken_ccl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bindings that are installed for another torch."""
    (tmp_path / f"{backend.CCL}.py").write_text("raise ImportError('undefined symbol: _ZN5torch')")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("broken_ccl")
def test_broken_bindings_leave_the_exchange_to_gloo(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_communication(RuntimeConfig()) == "gloo"
    assert "undefined symbol" in caplog.text


@pytest.mark.usefixtures("broken_ccl")
def test_broken_bindings_that_are_asked_for_are_an_error() -> None:
    with pytest.raises(
        RunError, match=r"runtime\.communication: ccl .* cannot be imported: undefined symbol"
    ):
        choose_communication(RuntimeConfig(communication="ccl"))


def test_a_broken_extension_that_is_asked_for_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{intel.MODULE}.py").write_text("raise OSError('libintel.so: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, intel.MODULE, raising=False)
    with pytest.raises(RunError, match=r"runtime\.backend: ipex .* cannot be imported: libintel\.so"):
        intel.prepack_frozen_layers(adapted("gpt2")[0], dtype=torch.float32)


def test_ccl_does_not_carry_tensors_of_nvidia() -> None:
    with pytest.raises(RunError, match="ccl does not know the device cuda"):
        choose_communication(RuntimeConfig(communication="ccl"), device="cuda")


@pytest.mark.parametrize(
    ("architecture", "device", "engine"),
    [
        ("llama", "cpu", "fused"),
        ("qwen2", "cpu", "fused"),
        ("gpt2", "cpu", "general"),
        ("llama", "cuda", "general"),
    ],
)
def test_the_fast_path_computes_what_it_can(architecture: str, device: Any, engine: str) -> None:
    targets = ["c_attn", "c_fc"] if architecture == "gpt2" else ["q_proj", "down_proj"]
    lora, batch = LoraConfig(rank=2, target_modules=targets), micro_batch(MemorySamples([12, 7]), [0, 1])
    model, adapters, general = adapted(architecture)
    expected = general.loss_sum(batch)
    choice = Backend(name="torch", precision="fp32", isa="avx2", device=device)
    computer, found = gradient_computer(choice, model, adapters, lora=lora, max_length=20)
    assert found == engine
    assert computer.loss_sum(batch) == pytest.approx(expected, rel=1e-4)
