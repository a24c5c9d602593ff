"""What one optimizer step computes: which samples, which of them on this rank, in which micro-batches.

Pure functions of configuration, step and lengths. The samples of a step never depend on the number of ranks.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llmfinetune_trainer.config.run import TrainingConfig
from llmfinetune_trainer.data.order import samples_at
from llmfinetune_trainer.data.packing import balanced_shares, pack, sample_costs
from llmfinetune_trainer.engine.schedule import num_training_samples
from llmfinetune_trainer.model.attention import DocumentGroups

TOKEN_BUDGET = 2048
"""Tokens of a micro-batch: enough for full matrix products, few enough for caches and memory."""


class Samples(Protocol):
    """Tokenised samples, addressed by position."""

    @property
    def num_samples(self) -> int:
        """How many there are."""

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Tokens of each sample."""

    @property
    def supervised(self) -> NDArray[np.int32]:
        """Positions of each sample that predict a token which carries loss."""

    def tokens(self, index: int) -> NDArray[np.int32]:
        """Token ids of one sample."""

    def loss_mask(self, index: int) -> NDArray[np.bool_]:
        """Which tokens of one sample carry loss."""


class MicroBatch(NamedTuple):
    """Documents that share one sequence.

    Tensors are [1, tokens] except `rows` and `targets`: positions that predict a token which carries
    loss, and that token.
    """

    samples: tuple[int, ...]
    input_ids: Tensor
    position_ids: Tensor
    document_groups: DocumentGroups
    rows: Tensor
    targets: Tensor


class StepPlan(NamedTuple):
    """One optimizer step, as one rank sees it."""

    samples: NDArray[np.int64]
    """All samples of the step, in the order of the epoch."""
    num_supervised: int
    """Positions with loss of the global batch: what the loss is divided by."""
    num_tokens: int
    """Tokens of the global batch."""
    packs: list[list[int]]
    """This rank's share: samples of each micro-batch."""


def plan_step(
    samples: Samples,
    training: TrainingConfig,
    *,
    cursor: int,
    rank: int,
    world_size: int,
    budget: int = TOKEN_BUDGET,
) -> StepPlan:
    """Plans the step that begins after `cursor` samples."""
    left = num_training_samples(training, samples.num_samples) - cursor
    chosen = samples_at(training.seed, cursor, min(training.batch_size, left), samples.num_samples)
    lengths = samples.lengths[chosen]
    share = balanced_shares(sample_costs(lengths), world_size)[rank]
    packs = packed(lengths[share], budget=budget if training.packing else 0)
    return StepPlan(
        samples=chosen,
        num_supervised=int(samples.supervised[chosen].sum()),
        num_tokens=int(lengths.sum()),
        packs=[[int(chosen[share[position]]) for position in positions] for positions in packs],
    )


def packed(lengths: NDArray[np.int32], *, budget: int) -> list[list[int]]:
    """Packs of about equal size within the budget, or, with a budget of 0, one for each sample."""
    total = int(lengths.sum())
    if total == 0:
        return []
    num_packs = -(-total // budget) if budget else len(lengths)
    even = total // num_packs + int(lengths.max()) // 4
    return pack(lengths, min(budget, max(even, int(lengths.max()))))


def micro_batch(samples: Samples, indices: Sequence[int]) -> MicroBatch:
    """Lays samples one after the other in a sequence; equally long ones become neighbours."""
    ordered = sorted(indices, key=lambda index: (-int(samples.lengths[index]), index))
    lengths = [int(samples.lengths[index]) for index in ordered]
    tokens = np.concatenate([samples.tokens(index) for index in ordered]).astype(np.int64)
    rows = _predicting_rows([samples.loss_mask(index) for index in ordered])
    return MicroBatch(
        samples=tuple(ordered),
        input_ids=torch.from_numpy(tokens).unsqueeze(0),
        position_ids=torch.from_numpy(np.concatenate([np.arange(length) for length in lengths])).unsqueeze(0),
        document_groups=tuple((len(list(run)), length) for length, run in groupby(lengths)),
        rows=torch.from_numpy(rows),
        targets=torch.from_numpy(tokens[rows + 1]),
    )


def _predicting_rows(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Positions before a supervised token of the same document; nothing predicts a document's first."""
    predicts = np.concatenate([np.append(mask[1:], False) for mask in masks])
    return np.flatnonzero(predicts)
