"""What every contestant computes: the same samples in the same order, adapter and optimizer."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Self

ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ADAPTERS = {"qv": ("q_proj", "v_proj"), "all-linear": ALL_LINEAR}
"""Layers that get an adapter, by the name of the configuration."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """One configuration of the comparison."""

    model: str = "SmolLM2-135M"
    """What the model is called."""
    adapter: str = "qv"
    """A key of `ADAPTERS`."""
    rank: int = 8
    alpha: int = 16
    batch_size: int = 32
    """Samples in one optimizer step."""
    steps: int = 4
    """Optimizer steps, the left out ones included."""
    warmup_steps: int = 1
    """First optimizer steps, which no throughput counts: compilation and first touches."""
    max_length: int = 512
    learning_rate: float = 2e-4
    seed: int = 42
    threads: int = 2
    held_out: int = 32
    """Samples on which the loss is measured after training."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Layers that get an adapter."""
        return ADAPTERS[self.adapter]

    @property
    def num_samples(self) -> int:
        """Samples that training visits."""
        return self.batch_size * self.steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one contestant, as its process reads it."""

    model: str
    """Directory with config, safetensors weights in bf16 and tokenizer."""
    samples: str
    """Training samples in order (see `samples.Samples`)."""
    initial_adapter: str
    """Adapter in peft's form that training starts from."""
    output: str
    """Directory of the run: `report.json` and `adapter/` are written there."""
    workload: Workload
    options: dict[str, Any]
    """Settings of the contestant."""

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(**values | {"workload": Workload(**values["workload"])})
