"""Attention of packed documents and its gradient in plain torch.

Query heads that share a key head become rows of one batched product, so that keys are never repeated, and a
document's scores are all that is ever held. With P the weights, G the upstream gradient and S = scale·Q·Kᵀ:

    O = P·V     dV = Pᵀ·G     dP = G·Vᵀ     dS = P∘(dP - rowsum(P∘dP))
    dQ = scale·dS·K           dK = scale·dSᵀ·Q
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from llmfinetune_trainer.engine.fused.kernels import Documents, Heads


class _Document(NamedTuple):
    own: slice
    rows: Tensor
    """All rows that it sees, the prefix first."""


def forward(qkv: Tensor, documents: Documents, heads: Heads, *, out: Tensor) -> Tensor:
    """Writes attention's output [rows, query columns]; returns the scores' log-sum-exp [rows, heads]."""
    norms = torch.empty(len(qkv), heads.num_query)
    for document in _iterate(documents):
        query, key, value = _parts(qkv, document, heads)
        scores = _scores(query, key, document, heads)
        norm = scores.logsumexp(-1, keepdim=True)
        weights = scores.sub_(norm).exp_().to(qkv.dtype)
        out[document.own] = _rows(weights @ value, heads)
        norms[document.own] = _rows(norm, heads)
    return norms


def backward(
    upstream: Tensor, qkv: Tensor, norms: Tensor, documents: Documents, heads: Heads, *, out: Tensor
) -> None:
    """Writes the gradient of `qkv`; a prefix receives the sum over documents, in 32 bits."""
    split = [heads.query_columns, heads.key_columns, heads.key_columns]
    of_query, of_key, of_value = torch.split(out, split, dim=-1)
    shared = torch.zeros(2, documents.prefix, heads.key_columns)
    for document in _iterate(documents):
        query, key, value = _parts(qkv, document, heads)
        slope = _group(upstream[document.own], heads)
        weights = _scores(query, key, document, heads)
        weights.sub_(_group(norms[document.own].unsqueeze(-1).flatten(1), heads._replace(size=1))).exp_()
        wanted = (slope @ value.transpose(-1, -2)).float()
        pull = weights * (wanted - (weights * wanted).sum(-1, keepdim=True)) * heads.scale
        narrow = pull.to(qkv.dtype)
        of_query[document.own] = _rows(narrow @ key, heads)
        key_slope = _columns(narrow.transpose(-1, -2) @ query)
        value_slope = _columns(weights.to(qkv.dtype).transpose(-1, -2) @ slope)
        seen = len(document.rows) - (document.own.stop - document.own.start)
        of_key[document.own], of_value[document.own] = key_slope[seen:], value_slope[seen:]
        shared[0, :seen] += key_slope[:seen]
        shared[1, :seen] += value_slope[:seen]
    of_key[: documents.prefix] += shared[0]
    of_value[: documents.prefix] += shared[1]


def _iterate(documents: Documents) -> Iterator[_Document]:
    prefix = torch.arange(documents.prefix)
    spans = zip(documents.starts.tolist(), documents.lengths.tolist(), strict=True)
    for index, (start, length) in enumerate(spans):
        own = torch.arange(start, start + length)
        rows = torch.cat((prefix, own)) if documents.prefix and index else own
        yield _Document(slice(start, start + length), rows)


def _parts(qkv: Tensor, document: _Document, heads: Heads) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [key heads, group · length, size]; keys and values [key heads, keys, size]."""
    query = _group(qkv[document.own, : heads.query_columns], heads)
    seen = qkv[document.rows, heads.query_columns :].view(-1, 2, heads.num_key, heads.size)
    key, value = seen.permute(1, 2, 0, 3).unbind(0)
    return query, key, value


def _scores(query: Tensor, key: Tensor, document: _Document, heads: Heads) -> Tensor:
    length, keys = document.own.stop - document.own.start, len(document.rows)
    scores = (query @ key.transpose(-1, -2)).float().mul_(heads.scale)
    hidden = torch.ones(length, keys, dtype=torch.bool).triu_(keys - length + 1)
    return scores.masked_fill_(hidden.repeat(query.shape[1] // length, 1), float("-inf"))


def _group(x: Tensor, heads: Heads) -> Tensor:
    """[length, query heads · size] → [key heads, group · length, size]."""
    return x.reshape(len(x), heads.num_key, -1, heads.size).permute(1, 2, 0, 3).flatten(1, 2)


def _rows(x: Tensor, heads: Heads) -> Tensor:
    """The inverse of `_group`."""
    group = heads.num_query // heads.num_key
    return x.view(len(x), group, -1, x.shape[-1]).permute(2, 0, 1, 3).flatten(1)


def _columns(x: Tensor) -> Tensor:
    """[key heads, keys, size] → [keys, key heads · size]."""
    return x.transpose(0, 1).flatten(1)
