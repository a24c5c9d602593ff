"""Cross-entropy of supervised positions, in chunks of rows, with the gradient computed in the forward pass.

The head is frozen, so the gradient of the hidden states is all that the backward pass needs: two matrix
products instead of three, and never a [tokens, vocabulary] tensor of 32-bit numbers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

CHUNK_ROWS = 256
"""Rows of the head's product at a time: the logits of one chunk stay small, its products large."""

LogitTransform = Callable[[Tensor], Tensor]


class Head(NamedTuple):
    """The frozen output layer: `weight` [vocabulary, hidden], and what happens to logits afterwards."""

    weight: Tensor
    bias: Tensor | None = None
    transform: LogitTransform | None = None


def logits_of(hidden: Tensor, head: Head) -> Tensor:
    """Logits of rows of last hidden states, [rows, vocabulary]."""
    logits = functional.linear(hidden, head.weight, head.bias)
    return logits if head.transform is None else head.transform(logits)


def cross_entropy_sum(hidden: Tensor, head: Head, targets: Tensor, *, chunk_rows: int = CHUNK_ROWS) -> Tensor:
    """Sum of the cross-entropy over rows, differentiable with respect to `hidden`.

    Args:
        hidden: [rows, hidden size], the states that predict.
        head: the frozen output layer.
        targets: [rows], indices into the vocabulary.

    Returns:
        A scalar in 32-bit precision, in nats.
    """
    total: Tensor = _CrossEntropySum.apply(hidden, head, targets, chunk_rows)  # type: ignore[no-untyped-call]
    return total


class _CrossEntropySum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Head, targets: Tensor, chunk_rows: int) -> Tensor:
        wants_gradient = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if wants_gradient else None
        total = hidden.new_zeros((), dtype=torch.float32)
        for start in range(0, hidden.shape[0], chunk_rows):
            rows = slice(start, start + chunk_rows)
            loss, chunk_gradient = _chunk(hidden[rows], head, targets[rows], wants_gradient=wants_gradient)
            total += loss
            if gradient is not None and chunk_gradient is not None:
                gradient[rows] = chunk_gradient
        ctx.gradient = gradient
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None, None]:
        # Saved outside of autograd's own store, and used once: a second backward through it would scale it
        # twice.
        return ctx.gradient.mul_(upstream[0]), None, None, None


def _chunk(
    hidden: Tensor, head: Head, targets: Tensor, *, wants_gradient: bool
) -> tuple[Tensor, Tensor | None]:
    logits = functional.linear(hidden, head.weight, head.bias)
    if head.transform is None:
        loss, slope = _softmax_loss(logits, targets, wants_gradient=wants_gradient)
    else:
        loss, slope = _transformed_loss(logits, head.transform, targets, wants_gradient=wants_gradient)
    return loss, None if slope is None else slope.to(hidden.dtype) @ head.weight


def _softmax_loss(logits: Tensor, targets: Tensor, *, wants_gradient: bool) -> tuple[Tensor, Tensor | None]:
    """Loss of a chunk and its gradient with respect to the logits, statistics in 32 bits."""
    scores = logits.float()
    rows = torch.arange(len(targets), device=targets.device)
    log_norm = scores.logsumexp(dim=-1)
    loss = (log_norm - scores[rows, targets]).sum()
    if not wants_gradient:
        return loss, None
    slope = scores.sub_(log_norm.unsqueeze(-1)).exp_()
    slope[rows, targets] -= 1.0
    return loss, slope


def _transformed_loss(
    logits: Tensor, transform: LogitTransform, targets: Tensor, *, wants_gradient: bool
) -> tuple[Tensor, Tensor | None]:
    with torch.enable_grad():  # type: ignore[no-untyped-call]
        leaf = logits.detach().float().requires_grad_(wants_gradient)
        loss = functional.cross_entropy(transform(leaf), targets, reduction="sum")
        slope = torch.autograd.grad(loss, leaf)[0] if wants_gradient else None
    return loss.detach(), slope
