"""What the computation runs on: device, backend, precision and communication, chosen once and reported.

Intel's extension and oneCCL's bindings are no longer developed, so both sit behind a feature test.
"""

import importlib.util
import logging
from typing import Any, Literal, NamedTuple

import torch
import torch.distributed as dist
from peft import PeftModel

from llmfinetune_trainer.config.messages import MAX_SHORT, RuntimeFacts
from llmfinetune_trainer.config.run import LoraConfig, RuntimeConfig
from llmfinetune_trainer.engine import fused, intel
from llmfinetune_trainer.engine.distributed import Communication
from llmfinetune_trainer.engine.gradients import GeneralGradients, GradientComputer
from llmfinetune_trainer.engine.machine import BF16_ISA, Device, Machine
from llmfinetune_trainer.engine.proof import PROVEN, Proof
from llmfinetune_trainer.errors import RunError, user_error
from llmfinetune_trainer.imports import imported
from llmfinetune_trainer.model.lora import Adapters
from llmfinetune_trainer.model.quantised import Quantization

CCL = "oneccl_bindings_for_pytorch"

BackendName = Literal["ipex", "torch"]
Precision = Literal["bf16", "fp32"]
Engine = Literal["fused", "general"]

log = logging.getLogger(__name__)


class Backend(NamedTuple):
    """The choice, before the model is loaded."""

    name: BackendName
    precision: Precision
    isa: str
    device: Device = "cpu"
    reason: str = ""
    """Why this one; empty while `auto` is still open (see `engine.trial`)."""

    @property
    def dtype(self) -> torch.dtype:
        """Type of the frozen weights and of the computation."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32


def choose_backend(
    runtime: RuntimeConfig, *, precision: Literal["auto", "bf16", "fp32"], machine: Machine
) -> Backend:
    """Chooses by configuration and machine.

    Args:
        runtime: what the configuration asks for.
        precision: `auto` takes bf16 where the device multiplies matrices in it.
        machine: what is there.

    Raises:
        RunError: what is asked for is not there.
    """
    device = _device(runtime.device, machine)
    if runtime.backend == "ipex":
        _require(intel.MODULE, field="runtime.backend: ipex")
        if device != "cpu":
            raise _clash(f"runtime.backend: ipex computes on processors, and the device is {device}")
    return Backend(
        name="ipex" if runtime.backend == "ipex" else "torch",
        precision=_precision(precision, device, machine),
        isa=machine.isa,
        device=device,
        reason="" if runtime.backend == "auto" else "asked for",
    )


def _device(wanted: Literal["auto", "cuda", "xpu", "cpu"], machine: Machine) -> Device:
    if wanted == "auto":
        return next(iter(machine.bf16))
    if wanted not in machine.bf16:
        raise user_error(
            "DeviceNotFound",
            f"runtime.device: {wanted} is not there: torch {torch.__version__} finds "
            f"{', '.join(machine.bf16)}",
            hint="let the workers ask for the device, use an image whose torch supports it, or set the field "
            "to auto",
        )
    return wanted


def _precision(wanted: Literal["auto", "bf16", "fp32"], device: Device, machine: Machine) -> Precision:
    if wanted == "auto":
        return "bf16" if machine.bf16[device] else "fp32"
    if wanted == "bf16" and not machine.bf16[device]:
        raise user_error(
            "PrecisionNotSupported",
            f"training.precision: bf16 is asked for, and the {device} of this machine does not multiply "
            f"matrices in it (its processor has {machine.isa}; {', '.join(BF16_ISA)} would do)",
            hint="set training.precision to auto or fp32, or choose other nodes by workers.nodeSelector",
        )
    return wanted


def choose_communication(runtime: RuntimeConfig, *, device: Device = "cpu") -> Communication:
    """What carries collectives on a device: under `auto` its own library where there is one, on processors
    oneCCL where its bindings import, else gloo.

    Raises:
        RunError: ccl is asked for and cannot be used.
    """
    if runtime.communication == "gloo":
        return "gloo"
    if device == "cuda":
        if runtime.communication == "ccl":
            raise _clash("runtime.communication: ccl does not know the device cuda")
        return "nccl" if dist.is_nccl_available() else "gloo"
    if runtime.communication == "ccl":
        _require(CCL, field="runtime.communication: ccl")
    elif device == "xpu" and dist.is_xccl_available():
        return "xccl"
    if importlib.util.find_spec(CCL) is None:
        return "gloo"
    try:
        imported(CCL, field="runtime.communication: ccl")  # registers the backend with torch.distributed
    except RunError as error:
        if runtime.communication == "ccl":
            raise
        log.warning("gloo carries what workers exchange: %s", error.failure.message)
        return "gloo"
    return "ccl"


def gradient_computer(
    backend: Backend,
    model: PeftModel,
    adapters: Adapters,
    *,
    lora: LoraConfig,
    max_length: int,
    recompute: bool = False,
    proof: Proof = PROVEN,
) -> tuple[GradientComputer, Engine]:
    """The engine's path for this model, and its name.

    Args:
        backend: Intel's extension works inside of the general path only.
        model: the frozen model with its adapters.
        adapters: the adapters' flat state.
        lora: the adapters' configuration.
        max_length: tokens of the longest sample.
        recompute: whether activations are computed again instead of kept.
        proof: what the general path may rely on.
    """
    obstacle = fused_obstacle(backend, model.get_base_model().config, lora=lora, max_length=max_length)
    if obstacle is None:
        return fused.FusedGradients(model, adapters, recompute=recompute), "fused"
    if backend.name == "ipex":
        intel.prepack_frozen_layers(model, dtype=backend.dtype)
    return GeneralGradients(model, adapters, proof=proof, recompute=recompute), "general"


def fused_obstacle(backend: Backend, model_config: Any, *, lora: LoraConfig, max_length: int) -> str | None:
    """Why the fused engine cannot compute a model; `None` where it can."""
    if backend.name == "ipex":
        return "Intel's extension is asked for"
    if backend.device != "cpu":
        return f"the device is {backend.device}"
    return fused.supports(model_config, lora, max_length=max_length)


def runtime_facts(
    backend: Backend,
    *,
    communication: Communication,
    world_size: int,
    engine: Engine,
    engine_reason: str,
    quantization: Quantization | None,
) -> RuntimeFacts:
    """What really runs, for the status."""
    return RuntimeFacts(
        backend=backend.name,
        backend_reason=backend.reason,
        communication=communication,
        device=backend.device,
        precision=backend.precision,
        quantization=quantization,
        isa=backend.isa,
        threads=torch.get_num_threads(),
        engine=engine,
        engine_reason=engine_reason[:MAX_SHORT],
        world_size=world_size,
    )


def _require(module: str, *, field: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise user_error(
            "RuntimeNotInstalled",
            f"{field} needs the Python package {module}, which is not installed",
            hint="use an image that carries it, or set the field to auto",
        )


def _clash(message: str) -> RunError:
    return user_error("SettingsClash", message, hint="set one of the two fields to auto")
