"""How many floating-point operations a micro-batch needs at least: what the speed is measured against.

Counted from the batch's own lengths and supervised positions, every token as if computed, padding never:

    4·N·T         frozen layers of N weights, forward and gradient of the input (weights need none)
    4·V·H·S       output layer, on the S supervised positions alone
    6·P·T         adapters of P weights, forward and both gradients
    6·L²·heads    attention of a document of L tokens per layer, half of it masked: 2·L²·width forward,
                  twice that backward
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from llmfinetune_trainer.engine.batches import MicroBatch


class Weights(NamedTuple):
    """What a model's operations are proportional to."""

    layers: int
    """Weights of the frozen linear layers, without the output layer."""
    head: int
    """Weights of the output layer."""
    adapters: int
    attention: int
    """Columns of all heads, summed over the layers."""


class Work(NamedTuple):
    """Floating-point operations by part."""

    layers: int
    head: int
    adapters: int
    attention: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def work_with(weights: Weights, lengths: Sequence[int], *, num_supervised: int) -> Work:
    """Operations of documents of `lengths`, with loss at `num_supervised` of their positions."""
    return Work(
        layers=4 * weights.layers * sum(lengths),
        head=4 * weights.head * num_supervised,
        adapters=6 * weights.adapters * sum(lengths),
        attention=6 * weights.attention * sum(length * length for length in lengths),
    )


def weights_of(config: Any, *, adapter_weights: int) -> Weights:
    """The weights of a Llama-shaped model, from its transformers configuration."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    per_layer = config.hidden_size * (2 * width + 2 * keys + 3 * config.intermediate_size)
    return Weights(
        layers=per_layer * config.num_hidden_layers,
        head=config.vocab_size * config.hidden_size,
        adapters=adapter_weights,
        attention=width * config.num_hidden_layers,
    )


def work_of(lengths: Sequence[int], *, num_supervised: int, config: Any, adapter_weights: int) -> Work:
    """Operations of documents of `lengths`.

    Args:
        lengths: tokens of each document.
        num_supervised: positions that predict a supervised token.
        config: transformers configuration of a Llama-shaped model.
        adapter_weights: weights of all adapters.
    """
    return work_with(
        weights_of(config, adapter_weights=adapter_weights), lengths, num_supervised=num_supervised
    )


def work_of_batch(batch: MicroBatch, *, config: Any, adapter_weights: int) -> Work:
    """Operations of one micro-batch."""
    lengths = [length for count, length in batch.document_groups for _ in range(count)]
    return work_of(lengths, num_supervised=len(batch.rows), config=config, adapter_weights=adapter_weights)
