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


def work_of(lengths: Sequence[int], *, num_supervised: int, config: Any, adapter_weights: int) -> Work:
    """Operations of documents of `lengths`.

    Args:
        lengths: tokens of each document.
        num_supervised: positions that predict a supervised token.
        config: transformers configuration of a Llama-shaped model.
        adapter_weights: weights of all adapters.
    """
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    per_layer = config.hidden_size * (2 * width + 2 * keys + 3 * config.intermediate_size)
    return Work(
        layers=4 * per_layer * config.num_hidden_layers * sum(lengths),
        head=4 * config.vocab_size * config.hidden_size * num_supervised,
        adapters=6 * adapter_weights * sum(lengths),
        attention=6 * width * config.num_hidden_layers * sum(length * length for length in lengths),
    )


def work_of_batch(batch: MicroBatch, *, config: Any, adapter_weights: int) -> Work:
    """Operations of one micro-batch."""
    lengths = [length for count, length in batch.document_groups for _ in range(count)]
    return work_of(lengths, num_supervised=len(batch.rows), config=config, adapter_weights=adapter_weights)
