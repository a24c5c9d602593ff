"""The order in which training visits the samples: a function of (seed, epoch) alone.

The position in training is one count, the cursor: how many samples have been visited since the start. Neither
the number of workers nor a restart enters, so every run with one seed sees the same samples in the same
steps.
"""

import numpy as np
from numpy.typing import NDArray

_DOMAIN = 0x6F72646572
"""Keeps this stream of random numbers apart from others that start from the same seed."""


def epoch_order(seed: int, epoch: int, num_samples: int) -> NDArray[np.int64]:
    """Permutation of `num_samples` sample indices for one epoch (counted from 0)."""
    generator = np.random.Generator(np.random.PCG64([_DOMAIN, seed, epoch]))
    return generator.permutation(num_samples).astype(np.int64, copy=False)


def samples_at(seed: int, cursor: int, count: int, num_samples: int) -> NDArray[np.int64]:
    """Indices of the `count` samples from `cursor` on, across the ends of epochs.

    Raises:
        ValueError: there are no samples.
    """
    if num_samples < 1:
        raise ValueError("no samples to order")
    pieces = []
    while count > 0:
        epoch, offset = divmod(cursor, num_samples)
        piece = epoch_order(seed, epoch, num_samples)[offset : offset + count]
        pieces.append(piece)
        cursor += len(piece)
        count -= len(piece)
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)
