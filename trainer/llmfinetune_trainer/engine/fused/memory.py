"""How much memory a micro-batch takes besides the weights, known before anything is allocated."""

from collections.abc import Collection
from typing import Any, NamedTuple

from llmfinetune_trainer.engine.fused.head import most_rows
from llmfinetune_trainer.engine.fused.layer import PROJECTIONS


class Buffers(NamedTuple):
    """Bytes of the engine's buffers by part."""

    saved: int
    """What the forward pass leaves for the backward pass; with recomputation, the layers' inputs."""
    work: int
    """What all layers take turns with."""
    logits: int
    """One chunk of the output layer."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def buffers_of(
    config: Any,
    *,
    rows: int,
    targets: Collection[str],
    rank: int,
    recompute: bool = False,
    item_bytes: int = 2,
) -> Buffers:
    """Buffers of a micro-batch without dropout.

    Args:
        config: transformers configuration of a Llama-shaped model.
        rows: tokens of the largest micro-batch, a shared prefix counted once.
        targets: last names of the adapted layers.
        rank: the adapters' rank.
        recompute: whether activations are computed again in the backward pass.
        item_bytes: 2 for bf16, 4 for 32 bits.
    """
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    hidden, inner = config.hidden_size, config.intermediate_size
    mixed = config.num_attention_heads * head
    qkv = mixed + 2 * config.num_key_value_heads * head
    ranks = {name: rank if name in targets else 0 for name in PROJECTIONS}
    of_qkv = ranks["q_proj"] + ranks["k_proj"] + ranks["v_proj"]
    of_mlp = ranks["gate_proj"] + ranks["up_proj"]
    layer = qkv + hidden + 2 * inner + (mixed + ranks["o_proj"]) * bool(ranks["o_proj"])
    copies = 1 if recompute else config.num_hidden_layers
    saved = config.num_hidden_layers * hidden + copies * layer
    work = (
        *(hidden + max(of_qkv, of_mlp), inner + ranks["down_proj"], qkv + of_qkv),
        *(4 * hidden, 2 * mixed),
        (2 * inner + of_mlp) * bool(of_mlp),
        hidden + max(ranks["o_proj"], ranks["down_proj"]),
    )
    return Buffers(
        saved=rows * saved * item_bytes,
        work=rows * sum(work) * item_bytes,
        logits=min(rows, most_rows(config.vocab_size)) * config.vocab_size * item_bytes,
    )
