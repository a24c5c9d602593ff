"""The rows that a micro-batch really computes: what all of its documents begin with is there once.

A template's preamble and a system prompt are the same in every sample and carry no loss. Causal attention
makes a prefix independent of what follows it, so its keys and values serve every document; in the backward
pass their gradients are sums over the documents, and the rest of the prefix's gradient follows from those.
The results are the same, dropout included: a row's mask follows from the tokens up to it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from llmfinetune_trainer.engine.batches import MicroBatch
from llmfinetune_trainer.engine.fused.kernels import Documents
from llmfinetune_trainer.engine.fused.torch_kernels import mix

MIN_SHARED = 8
"""Shorter prefixes are not worth a document of their own."""


class Rows(NamedTuple):
    """A micro-batch as the fused layers see it. All tensors but `documents` are [rows] or [supervised]."""

    token_ids: Tensor
    positions: Tensor
    documents: Documents
    supervised: Tensor
    """Rows that predict a supervised token."""
    targets: Tensor
    keys: Tensor
    """Names of the rows for dropout masks (see `mask_keys`)."""


def rows_of(batch: MicroBatch, *, share_prefix: bool) -> Rows:
    """Lays out the rows of a micro-batch, with the common prefix once where it is shared."""
    lengths = torch.tensor([length for count, length in batch.document_groups for _ in range(count)])
    starts = lengths.cumsum(0) - lengths
    ids = batch.input_ids[0]
    shared = shared_length(ids, starts, lengths, batch.rows) if share_prefix else 0
    positions = batch.position_ids[0]
    keys = mask_keys(ids, positions)
    if not shared:
        documents = Documents(starts, lengths)
        return Rows(ids, positions, documents, batch.rows, batch.targets, keys)
    everything = torch.arange(len(ids))
    kept = everything[(positions >= shared) | (everything < shared)]
    own = lengths - shared
    documents = Documents(
        starts=torch.cat((torch.zeros(1, dtype=torch.int64), shared + own.cumsum(0) - own)),
        lengths=torch.cat((torch.tensor([shared]), own)),
        prefix=shared,
    )
    supervised = torch.searchsorted(kept, batch.rows)
    return Rows(ids[kept], positions[kept], documents, supervised, batch.targets, keys[kept])


def shared_length(ids: Tensor, starts: Tensor, lengths: Tensor, supervised: Tensor) -> int:
    """Tokens that all documents begin with and that predict nothing supervised; 0 where sharing does not pay.

    Every document keeps at least one row of its own.
    """
    longest = int(lengths.min()) - 1
    if len(starts) < 2 or longest < MIN_SHARED:
        return 0
    heads = ids[starts.unsqueeze(1) + torch.arange(longest)]
    common = int((heads == heads[0]).all(0).cumprod(0).sum())
    owner = torch.searchsorted(starts, supervised, right=True) - 1
    first = int((supervised - starts[owner]).min()) if len(supervised) else common
    shared = min(common, first)
    return shared if shared >= MIN_SHARED else 0


def mask_keys(ids: Tensor, positions: Tensor) -> Tensor:
    """[rows], 64-bit: a hash of 32 bits of the document's tokens up to each row.

    It does not depend on where the document lies, and what documents begin with has one name in all of them,
    whether it is computed once or in each.
    """
    terms = (ids + 1) * (mix(positions) | 1)
    sums = terms.cumsum(0)
    first = torch.arange(len(ids)) - positions
    return (sums - (sums - terms)[first]) & 0xFFFFFFFF
