"""What this machine can compute on: its processor's instructions, and the accelerators that torch sees."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

import torch

Device = Literal["cuda", "xpu", "cpu"]

CPUINFO: Final = Path("/proc/cpuinfo")
ISA_LEVELS: Final = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "bf16", "asimd")
"""Flags of the processor, the best for matrix products first (the last two are Arm's)."""
BF16_ISA: Final = ("amx_bf16", "avx512_bf16", "bf16")


class Probe(NamedTuple):
    """How to ask for one kind of accelerator."""

    is_there: Callable[[], bool]
    has_bf16: Callable[[], bool]


PROBES: Final[Mapping[Device, Probe]] = {
    "cuda": Probe(torch.cuda.is_available, lambda: torch.cuda.is_bf16_supported(including_emulation=False)),
    "xpu": Probe(torch.xpu.is_available, torch.xpu.is_bf16_supported),
}
"""Accelerators in the order in which `auto` takes them."""


class Machine(NamedTuple):
    """What is there."""

    isa: str
    """Best instruction set for matrix products of the processor."""
    bf16: Mapping[Device, bool]
    """Devices in order of preference, and whether each multiplies matrices in bf16."""
    processor: str = ""
    """The processor's model name."""


def this_machine() -> Machine:
    """The machine that this process runs on."""
    return machine_of(CPUINFO.read_text(encoding="utf-8") if CPUINFO.exists() else "", PROBES)


def machine_of(cpuinfo: str, probes: Mapping[Device, Probe]) -> Machine:
    """The machine that `/proc/cpuinfo` and the answers of `probes` describe."""
    isa = best_isa(cpuinfo)
    accelerators = {device: probe.has_bf16() for device, probe in probes.items() if probe.is_there()}
    return Machine(isa, {**accelerators, "cpu": isa in BF16_ISA}, _field(cpuinfo, "model name"))


def best_isa(cpuinfo: str) -> str:
    """The best instruction set for matrix products in `/proc/cpuinfo`; `generic` where none is known."""
    flags = set((_field(cpuinfo, "flags") or _field(cpuinfo, "Features")).split())
    return next((level for level in ISA_LEVELS if level in flags), "generic")


def _field(cpuinfo: str, name: str) -> str:
    """The first line of that name; all processors of a machine are alike."""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")
