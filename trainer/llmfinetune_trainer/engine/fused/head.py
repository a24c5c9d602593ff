"""The frozen output layer and the loss, with the gradient of the hidden states computed in the forward pass.

Logits L = h·Eᵀ exist for a chunk of supervised rows at a time, in the type of the computation, and become
their own gradient softmax(L) - onehot in place: two products, dh = (softmax(L) - onehot)·E being the
second, and two passes over the chunk while it is in the cache.
"""

import torch
from torch import Tensor

from llmfinetune_trainer.engine.fused.kernels import Kernels
from llmfinetune_trainer.engine.fused.space import Space

CHUNK_LOGITS = 512 * 49152
"""Logits at a time: few enough for the cache."""
FEWEST_ROWS = 256
"""Rows of logits at a time whatever the vocabulary: enough for full matrix products."""


def loss_and_gradient(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    kernels: Kernels,
    space: Space,
    gradient: Tensor | None,
) -> float:
    """Sum of the cross-entropy over rows, in nats.

    Args:
        hidden: [rows, hidden size].
        weight: [vocabulary, hidden size].
        targets: [rows].
        gradient: [rows, hidden size], receives dh; `None` computes the loss alone.
    """
    losses = []
    rows = chunk_rows(len(hidden), len(weight))
    for start in range(0, len(hidden), rows):
        chunk = slice(start, start + rows)
        logits = space.take("logits", len(targets[chunk]), len(weight))
        kernels.product(hidden[chunk], weight.t(), out=logits)
        losses.append(kernels.cross_entropy(logits, targets[chunk], gradient=gradient is not None))
        if gradient is not None:
            kernels.product(logits, weight, out=gradient[chunk])
    return float(torch.cat(losses).sum()) if losses else 0.0


def chunk_rows(rows: int, vocabulary: int) -> int:
    """Rows of logits at a time: chunks of about equal size."""
    chunks = max(1, -(-rows // most_rows(vocabulary)))
    return max(1, -(-rows // chunks))


def most_rows(vocabulary: int) -> int:
    """Rows that a chunk can have."""
    return max(FEWEST_ROWS, CHUNK_LOGITS // vocabulary)
