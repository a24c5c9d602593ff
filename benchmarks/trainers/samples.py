"""Tokenised samples as the contestants read them: tokenised once, in training order, with the loss mask."""

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

IGNORED = -100
"""Label of a token that carries no loss."""


class Samples(NamedTuple):
    """Sample i lies at offsets[i]:offsets[i + 1] of `tokens` (int32) and `targets` (bool: carries loss)."""

    tokens: NDArray[np.int32]
    targets: NDArray[np.bool_]
    offsets: NDArray[np.int64]

    @property
    def num_samples(self) -> int:
        """How many samples there are."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each."""
        return np.diff(self.offsets)

    @property
    def supervised(self) -> NDArray[np.int64]:
        """Tokens with loss of each."""
        return np.diff(np.concatenate([[0], np.cumsum(self.targets)])[self.offsets])

    def ids(self, index: int) -> list[int]:
        """Token ids of one sample."""
        ids: list[int] = self.tokens[self.offsets[index] : self.offsets[index + 1]].tolist()
        return ids

    def labels(self, index: int) -> list[int]:
        """Token ids with `IGNORED` where there is no loss; models shift them by one themselves."""
        span = slice(self.offsets[index], self.offsets[index + 1])
        labels: list[int] = np.where(self.targets[span], self.tokens[span], IGNORED).tolist()
        return labels

    def select(self, indices: NDArray[np.int64]) -> Self:
        """These samples, in this order."""
        spans = [slice(self.offsets[index], self.offsets[index + 1]) for index in indices]
        return type(self)(
            tokens=np.concatenate([self.tokens[span] for span in spans]),
            targets=np.concatenate([self.targets[span] for span in spans]),
            offsets=np.concatenate([[0], np.cumsum(self.lengths[indices])]),
        )

    def save(self, path: Path) -> None:
        """Writes one npz file."""
        np.savez(path, tokens=self.tokens, targets=self.targets, offsets=self.offsets)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        with np.load(path) as arrays:
            return cls(arrays["tokens"], arrays["targets"], arrays["offsets"])


def grouped_by_length(samples: Samples, batch_size: int) -> Samples:
    """Sorts by length inside each global batch: little padding, and every step keeps its samples."""
    positions = np.arange(samples.num_samples)
    order = np.lexsort((positions, -samples.lengths, positions // batch_size))
    return samples.select(order)


def concatenated(samples: Samples, block: int) -> Samples:
    """All samples in one stream, cut every `block` tokens; what is left at the end is dropped.

    Blocks hold parts of several samples, which see each other. A block's first token is predicted by nothing.
    """
    length = len(samples.tokens) // block * block
    targets = samples.targets[:length].copy()
    targets[::block] = False
    return Samples(samples.tokens[:length], targets, np.arange(0, length + 1, block, dtype=np.int64))
