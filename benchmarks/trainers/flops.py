"""How much arithmetic a step needs at least: what every contestant's share of the peak is counted by.

Counted from real lengths and supervised rows; padding and recomputation never count. Per token: 4·N of
the frozen body (forward and gradient of the inputs), 6·P of the adapters; per supervised row 4·V·H of the
frozen head; per document causal attention. A multiplication and its addition
are two operations.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike


class Shape(NamedTuple):
    """Sizes of a Llama-shaped decoder."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """From a model's config.json."""
        heads = config["num_attention_heads"]
        return cls(
            hidden=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or config["hidden_size"] // heads,
            intermediate=config["intermediate_size"],
            vocabulary=config["vocab_size"],
        )

    def linear_layers(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each linear layer of one decoder layer."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        return {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }


def body_parameters(shape: Shape) -> int:
    """Weights of all decoder layers' linear layers."""
    return shape.layers * sum(inputs * outputs for inputs, outputs in shape.linear_layers().values())


def adapter_parameters(shape: Shape, *, rank: int, targets: Sequence[str]) -> int:
    """Weights of the adapters on these layers."""
    layers = shape.linear_layers()
    return shape.layers * rank * sum(sum(layers[target]) for target in targets)


def training_flops(
    shape: Shape, *, rank: int, targets: Sequence[str], lengths: ArrayLike, supervised: ArrayLike
) -> float:
    """Operations of forward and backward over these documents.

    Args:
        shape: the model.
        rank: of the adapters.
        targets: layers with an adapter.
        lengths: tokens of each document.
        supervised: rows of each document that carry loss.
    """
    tokens = np.asarray(lengths, dtype=np.float64)
    rows = float(np.asarray(supervised, dtype=np.float64).sum())
    body = 4.0 * body_parameters(shape) * tokens.sum()
    adapters = 6.0 * adapter_parameters(shape, rank=rank, targets=targets) * tokens.sum()
    head = 4.0 * shape.vocabulary * shape.hidden * rows
    # scores and their product with the values: 2 · 2 · len²/2 · width forward, twice that backward
    attention = 6.0 * shape.layers * shape.heads * shape.head_size * (tokens * tokens).sum()
    return float(body + adapters + head + attention)
