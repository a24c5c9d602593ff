"""A model's shape, memory and an estimate, as tests need them."""

from typing import Any

from transformers import LlamaConfig

from llmfinetune_trainer.engine.fused.flops import weights_of
from llmfinetune_trainer.estimate.memory import Memory
from llmfinetune_trainer.estimate.result import Estimate, Part
from llmfinetune_trainer.estimate.shape import Shape

MI = 1 << 20


def llama(**changes: Any) -> LlamaConfig:
    """A configuration in the proportions of a real model."""
    values = {
        "vocab_size": 1000,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return LlamaConfig(**{**values, **changes})


def shape(**changes: Any) -> Shape:
    config = llama()
    values: dict[str, Any] = {
        "config": config,
        "engine": "fused",
        "item_bytes": 2,
        "base_weights": 1_000_000,
        "weights": weights_of(config, adapter_weights=10_000),
        "targets": ("q_proj", "v_proj"),
        "rank": 8,
        "has_dropout": False,
        "largest_layer": 10_240,
    }
    return Shape(**{**values, **changes})


def memory(total: int) -> Memory:
    """Memory of `total` bytes, all of it activations."""
    return Memory(0, 0, 0, 0, total, 0, 0, 0, 0)


def estimate(**changes: Any) -> Estimate:
    values: dict[str, Any] = {
        "engine": "fused",
        "precision": "bf16",
        "memory": [Part(name="libraries", bytes=700 * MI), Part(name="activations", bytes=300 * MI)],
        "limit_bytes": 2048 * MI,
        "limit_source": "spec.workers.resources.limits.memory",
        "least_bytes": 800 * MI,
        "micro_batch_tokens": 1024,
        "recompute": False,
        "micro_batches": 5.5,
        "workers": 2,
        "recommended_workers": 10,
        "tokens_per_step": 11_000.0,
        "supervised_per_step": 7_000.0,
        "flops_per_step": 5.5e12,
        "total_steps": 500,
        "seconds_per_step": 12.345,
        "total_seconds": 6200.4,
        "threads": 2,
    }
    return Estimate.model_validate({**values, **changes})
