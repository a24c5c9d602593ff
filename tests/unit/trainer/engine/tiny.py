"""Tiny random models of real architectures, samples in memory, and what a training run needs around them."""

import copy
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModelForCausalLM

from llmfinetune_trainer.checkpoint.writer import CheckpointWriter
from llmfinetune_trainer.config.messages import Report
from llmfinetune_trainer.config.run import LoraConfig, RunConfig
from llmfinetune_trainer.engine.backend import Engine
from llmfinetune_trainer.engine.distributed import Alone, Ranks
from llmfinetune_trainer.engine.fused import FusedGradients
from llmfinetune_trainer.engine.gradients import GeneralGradients
from llmfinetune_trainer.engine.loop import Training
from llmfinetune_trainer.engine.optimizer import FlatAdamW
from llmfinetune_trainer.engine.state import TrainingState
from llmfinetune_trainer.model import attention
from llmfinetune_trainer.model.lora import Adapters, attach_adapters
from llmfinetune_trainer.report.sink import StepRecord
from llmfinetune_trainer.report.tracker import Tracker

VOCABULARY = 61
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "llama": {**SIZES, "num_key_value_heads": 2},
    "qwen2": {**SIZES, "num_key_value_heads": 2},
    "mistral": {**SIZES, "num_key_value_heads": 1, "sliding_window": 5},
    "gemma2": {
        **SIZES,
        "num_key_value_heads": 2,
        "head_dim": 4,
        "sliding_window": 5,
        "query_pre_attn_scalar": 4,
    },
    "granite": {**SIZES, "num_key_value_heads": 2, "logits_scaling": 3.0},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64},
}
TARGETS = {"gpt2": ["c_attn", "c_fc"]}
FAMILIES = ("llama", "qwen2", "gpt2")
SUBJECTS: Sequence[tuple[str, Engine]] = (
    ("llama", "general"),
    ("llama", "fused"),
    ("qwen2", "general"),
    ("qwen2", "fused"),
    ("gpt2", "general"),
)
"""What is exact is so for each of these: architectures, and the engines that compute them."""


def base_model(architecture: str, *, implementation: str = attention.NAME, seed: int = 0) -> Any:
    attention.register()
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        architecture, vocab_size=VOCABULARY, bos_token_id=None, eos_token_id=0, pad_token_id=None,
        **ARCHITECTURES[architecture],
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, attn_implementation=implementation)
    return model.requires_grad_(False).eval()


def adapted(
    architecture: str = "llama", *, dropout: float = 0.0, noise: float = 0.05
) -> tuple[Any, Adapters, GeneralGradients]:
    """A model with adapters that already do something: B is random, unless `noise` is 0."""
    lora = LoraConfig(
        rank=2, dropout=dropout, target_modules=TARGETS.get(architecture, ["q_proj", "down_proj"])
    )
    model, adapters = attach_adapters(base_model(architecture), lora, seed=1)
    if noise:
        generator = torch.Generator().manual_seed(2)
        adapters.master.add_(torch.randn(adapters.master.shape, generator=generator), alpha=noise)
        adapters.publish()
    return model, adapters, GeneralGradients(model, adapters)


class MemorySamples:
    """Random documents; about half of the tokens of each carry loss, never the first."""

    def __init__(self, lengths: list[int], *, seed: int = 3) -> None:
        generator = np.random.Generator(np.random.PCG64(seed))
        self.documents = [generator.integers(0, VOCABULARY, n).astype(np.int32) for n in lengths]
        self.masks = [np.arange(n) >= max(1, n // 2) for n in lengths]
        self.num_samples = len(lengths)
        self.lengths = np.asarray(lengths, dtype=np.int32)
        self.supervised = np.asarray([int(mask.sum()) for mask in self.masks], dtype=np.int32)

    def tokens(self, index: int) -> NDArray[np.int32]:
        return self.documents[index]

    def loss_mask(self, index: int) -> NDArray[np.bool_]:
        return self.masks[index]


def lengths(count: int) -> list[int]:
    return [int(n) for n in np.random.Generator(np.random.PCG64(7)).integers(4, 20, count)]


def run_config(*, checkpoint: Mapping[str, Any] | None = None, **training: Any) -> RunConfig:
    training = {"batch_size": 8, "learning_rate": 0.01, "epochs": 2, **training}
    return RunConfig.model_validate(
        {
            "name": "t",
            "model": {"source": "/model"},
            "dataset": {"source": "/data"},
            "method": {"lora": {"rank": 2}},
            "training": training,
            "checkpoint": checkpoint or {},
        }
    )


class Recorder:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.steps: list[StepRecord] = []
        self.reports: list[Report] = []

    def report(self, report: Report, *, urgent: bool) -> None:
        self.reports.append(report)

    def step(self, record: StepRecord) -> None:
        self.steps.append(record)

    def close(self) -> None:
        pass

    @property
    def losses(self) -> list[float]:
        return [record.loss for record in self.steps]


def make_training(
    config: RunConfig,
    *,
    samples: MemorySamples | None = None,
    ranks: Ranks | None = None,
    recorder: Recorder | None = None,
    checkpoints: CheckpointWriter | None = None,
    check_stop: Callable[[], None] = lambda: None,
    dropout: float = 0.0,
    architecture: str = "llama",
    engine: Engine = "general",
) -> Training:
    model, adapters, general = adapted(architecture, dropout=dropout, noise=0.0)
    computer = FusedGradients(model, adapters) if engine == "fused" else general
    optimizer = FlatAdamW(adapters.master, weight_decay=config.training.weight_decay)
    return Training(
        config=config,
        train=samples or MemorySamples(lengths(20)),
        validation=MemorySamples(lengths(5), seed=4),
        ranks=ranks or Alone(),
        computer=computer,
        state=TrainingState(adapters, optimizer, config_digest="digest"),
        tracker=Tracker([recorder] if recorder else [], attempt="a", phase="Training"),
        checkpoints=checkpoints,
        check_stop=check_stop,
        token_budget=64,
    )


def now() -> dt.datetime:
    return dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def snapshot(model: Any) -> dict[str, torch.Tensor]:
    return {name: copy.deepcopy(p.detach()) for name, p in model.named_parameters() if "lora_" not in name}
