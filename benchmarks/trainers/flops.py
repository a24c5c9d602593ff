"""How much arithmetic the workload needs at least: what every contestant's share of the peak is counted by.

The engine's own count (`llmfinetune_trainer.engine.fused.flops`): real lengths and supervised rows only;
padding, recomputation and attention across documents never count, whoever computes them.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from llmfinetune_trainer.engine.fused.flops import work_of


def adapter_weights(config: Mapping[str, Any], *, rank: int, targets: Sequence[str]) -> int:
    """Weights of LoRA adapters on these linear layers of a Llama-shaped model, from its config.json."""
    hidden, middle, heads = (
        config[key] for key in ("hidden_size", "intermediate_size", "num_attention_heads")
    )
    size = config.get("head_dim") or hidden // heads
    queries, keys = heads * size, config["num_key_value_heads"] * size
    ends = {
        "q_proj": hidden + queries,
        "k_proj": hidden + keys,
        "v_proj": hidden + keys,
        "o_proj": queries + hidden,
        "gate_proj": hidden + middle,
        "up_proj": hidden + middle,
        "down_proj": middle + hidden,
    }
    return int(config["num_hidden_layers"] * rank * sum(ends[target] for target in targets))


def training_flops(
    config: Mapping[str, Any], *, weights: int, lengths: Sequence[int], supervised: Sequence[int]
) -> int:
    """Operations of forward and backward over these documents.

    Args:
        config: the model's config.json.
        weights: of all adapters.
        lengths: tokens of each document.
        supervised: rows of each document that carry loss.
    """
    shape = SimpleNamespace(**config)
    return work_of(lengths, num_supervised=sum(supervised), config=shape, adapter_weights=weights).total
