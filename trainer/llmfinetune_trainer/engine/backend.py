"""What the computation runs on: backend, precision, threads and communication, chosen once and reported.

Intel's extension and oneCCL's bindings are no longer developed, so both sit behind a feature test.
"""

import importlib
import importlib.util
import logging
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from peft import PeftModel

from llmfinetune_trainer.config.messages import RuntimeFacts
from llmfinetune_trainer.config.run import LoraConfig, RuntimeConfig
from llmfinetune_trainer.engine import fused
from llmfinetune_trainer.engine.distributed import Communication
from llmfinetune_trainer.engine.gradients import GeneralGradients, GradientComputer
from llmfinetune_trainer.errors import user_error
from llmfinetune_trainer.model.lora import Adapters

IPEX = "intel_extension_for_pytorch"
CCL = "oneccl_bindings_for_pytorch"
CPUINFO = Path("/proc/cpuinfo")
ISA_LEVELS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "bf16", "asimd")
"""Flags of the processor, the best for matrix products first (the last two are Arm's)."""
BF16_ISA = ("amx_bf16", "avx512_bf16", "bf16")

Precision = Literal["bf16", "fp32"]
Engine = Literal["fused", "general"]

log = logging.getLogger(__name__)


class Backend(NamedTuple):
    """The choice, before the model is loaded."""

    name: Literal["ipex", "torch"]
    precision: Precision
    isa: str

    @property
    def dtype(self) -> torch.dtype:
        """Type of the frozen weights and of the computation."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32


def choose_backend(
    runtime: RuntimeConfig, *, precision: Literal["auto", "bf16", "fp32"], cpuinfo: str
) -> Backend:
    """Chooses by configuration and processor.

    Args:
        runtime: what the configuration asks for.
        precision: `auto` takes bf16 where the processor multiplies matrices in it.
        cpuinfo: contents of `/proc/cpuinfo`.

    Raises:
        RunError: what is asked for is not installed.
    """
    isa = best_isa(cpuinfo)
    if runtime.backend == "ipex":
        _require(IPEX, field="runtime.backend: ipex")
    chosen: Precision = precision if precision != "auto" else "bf16" if isa in BF16_ISA else "fp32"
    # `auto` is torch: on packed sequences without autocast the extension has nothing left to make faster
    return Backend(name="ipex" if runtime.backend == "ipex" else "torch", precision=chosen, isa=isa)


def choose_communication(runtime: RuntimeConfig) -> Communication:
    """oneCCL where it is asked for or, under `auto`, where its bindings are installed; else gloo.

    Raises:
        RunError: ccl is asked for and its bindings are not installed.
    """
    if runtime.communication == "ccl":
        _require(CCL, field="runtime.communication: ccl")
    if runtime.communication != "gloo" and importlib.util.find_spec(CCL) is not None:
        importlib.import_module(CCL)  # registers the backend with torch.distributed
        return "ccl"
    return "gloo"


def gradient_computer(
    backend: Backend, model: PeftModel, adapters: Adapters, *, lora: LoraConfig, max_length: int
) -> tuple[GradientComputer, Engine]:
    """The engine's path for this model, and its name.

    Args:
        backend: Intel's extension works inside of the general path only.
        model: the frozen model with its adapters.
        adapters: the adapters' flat state.
        lora: the adapters' configuration.
        max_length: tokens of the longest sample.
    """
    if backend.name == "ipex":
        prepack_frozen_layers(model, dtype=backend.dtype)
        return GeneralGradients(model, adapters), "general"
    obstacle = fused.supports(model.get_base_model().config, lora, max_length=max_length)
    if obstacle is not None:
        log.info("the general engine computes this model: %s", obstacle)
        return GeneralGradients(model, adapters), "general"
    return fused.FusedGradients(model, adapters), "fused"


def prepack_frozen_layers(model: PeftModel, *, dtype: torch.dtype) -> None:
    """Puts the decoder's frozen linear layers into the layout that Intel's extension multiplies fastest.

    Adapters change every step and the output layer's weight is read by the loss, so both stay as they are.
    """
    ipex = importlib.import_module(IPEX)
    decoder = model.get_base_model().base_model
    for parent in list(decoder.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is torch.nn.Linear and not layer.weight.requires_grad:
                setattr(parent, name, _prepacked(ipex, layer, dtype))


def _prepacked(ipex: Any, layer: torch.nn.Linear, dtype: torch.dtype) -> torch.nn.Module:
    """One layer, prepacked in training mode: outside of it the extension cuts the gradient off."""
    holder = torch.nn.Sequential(layer).train()
    # the extension insists on an optimizer; folding normalisations would trace the module into another one
    unused = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.0)
    prepacked, _ = ipex.optimize(
        holder,
        optimizer=unused,
        dtype=dtype,
        inplace=True,
        conv_bn_folding=False,
        linear_bn_folding=False,
        weights_prepack=True,
        auto_kernel_selection=True,
        split_master_weight_for_bf16=False,
        fuse_update_step=False,
    )
    module: torch.nn.Module = prepacked[0]
    return module


def runtime_facts(
    backend: Backend, *, communication: Communication, world_size: int, engine: Engine
) -> RuntimeFacts:
    """What really runs, for the status."""
    return RuntimeFacts(
        backend=backend.name,
        communication=communication,
        precision=backend.precision,
        isa=backend.isa,
        threads=torch.get_num_threads(),
        engine=engine,
        world_size=world_size,
    )


def best_isa(cpuinfo: str) -> str:
    """The best instruction set for matrix products in `/proc/cpuinfo`; `generic` where none is known."""
    lines = [line for line in cpuinfo.splitlines() if line.startswith(("flags", "Features"))]
    flags = set(lines[0].partition(":")[2].split()) if lines else set()
    return next((level for level in ISA_LEVELS if level in flags), "generic")


def _require(module: str, *, field: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise user_error(
            "RuntimeNotInstalled",
            f"{field} needs the Python package {module}, which is not installed",
            hint="use an image that carries it, or set the field to auto",
        )
