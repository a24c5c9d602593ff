"""Causal attention over documents that share one sequence: no document sees another.

Registered with transformers' attention registry, so every causal model that uses the registry gets it. The
cost is the sum of len²/2 over documents, where a dense mask would cost the square of the whole sequence.
"""

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface

NAME: Final = "packed_documents"
"""Value of `attn_implementation`; the model is then called with the keyword `document_groups`."""

DocumentGroups = tuple[tuple[int, int], ...]
"""Runs of equally long neighbours: (number of documents, tokens in each), in the order of the sequence."""


def register() -> None:
    """Makes `NAME` known to transformers. May be called again."""
    AttentionInterface.register(NAME, packed_attention)


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _attention_mask: Tensor | None,
    *,
    document_groups: DocumentGroups,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of a packed sequence, in the registry's form.

    Args:
        query: [1, heads, tokens, head size]; `key` and `value` may have fewer heads (grouped queries).
        document_groups: where documents lie in the sequence.
        scaling: factor of the scores; the inverse root of the head size where absent.

    Returns:
        [1, tokens, heads, head size], and no weights.

    Raises:
        NotImplementedError: the model has attention sinks, which this does not compute.
    """
    if s_aux is not None:
        raise NotImplementedError("attention sinks are not supported on packed sequences")
    # split, not slices: its backward is one concatenation, a slice's is a zero-filled gradient of full size
    sizes = [count * length for count, length in document_groups]
    queries, keys, values = (torch.split(tensor, sizes, dim=2) for tensor in (query, key, value))
    outputs = [
        _group(*group, scaling=scaling, window=sliding_window, softcap=softcap)
        for group in zip(queries, keys, values, document_groups, strict=True)
    ]
    return torch.cat(outputs, dim=0).unsqueeze(0), None


def _group(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    group: tuple[int, int],
    *,
    scaling: float | None,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    """Attention of `count` documents of equal length: [count * length, heads, head size]."""
    count, length = group
    queries, keys, values = (_documents(part, count, length) for part in (query, key, value))
    if (repeat := queries.shape[1] // keys.shape[1]) > 1:
        keys, values = keys.repeat_interleave(repeat, dim=1), values.repeat_interleave(repeat, dim=1)
    mask = _window_mask(length, window, query.device) if window is not None and window < length else None
    if softcap is None:
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=mask is None, scale=scaling
        )
    else:
        mixed = _softcapped(queries, keys, values, mask=mask, scaling=scaling, softcap=softcap)
    return mixed.transpose(1, 2).reshape(count * length, queries.shape[1], -1)


def _documents(part: Tensor, count: int, length: int) -> Tensor:
    """[1, heads, count * length, size] seen as [count, heads, length, size]."""
    return part.view(part.shape[1], count, length, part.shape[3]).transpose(0, 1)


def _window_mask(length: int, window: int | None, device: torch.device) -> Tensor:
    positions = torch.arange(length, device=device)
    distance = positions[:, None] - positions[None, :]
    return (distance >= 0) & (distance < (window or length))


def _softcapped(
    query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None, scaling: float | None, softcap: float
) -> Tensor:
    """Attention with scores bounded by tanh before the softmax (Gemma 2): no fused kernel computes it."""
    length, size = query.shape[-2:]
    scores = query @ key.transpose(-1, -2) * (size**-0.5 if scaling is None else scaling)
    scores = softcap * torch.tanh(scores.float() / softcap)
    allowed = _window_mask(length, None, query.device) if mask is None else mask
    weights = scores.masked_fill(~allowed, float("-inf")).softmax(dim=-1)
    return weights.to(value.dtype) @ value
