"""Writes samples one after the other into the files that `prepared` maps, with constant memory."""

from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from llmfinetune_trainer.data.encode import Sample
from llmfinetune_trainer.data.prepared import OFFSETS, SPLITS, SUPERVISED, TARGETS, TOKENS

_DOMAIN = 0x73706C6974
"""Keeps the split's random numbers apart from those of the order of samples."""


class SplitFacts(NamedTuple):
    """What one split holds."""

    rows: int
    tokens: int
    supervised: int


class SampleWriter:
    """Collects the samples of rows in a directory; a context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._tokens: BinaryIO = (directory / TOKENS).open("wb")
        self._targets: BinaryIO = (directory / TARGETS).open("wb")
        self._lengths: list[int] = []
        self._supervised: list[int] = []
        self._row_of_sample: list[int] = []
        self.num_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._tokens.close()
        self._targets.close()

    def add_row(self, samples: tuple[Sample, ...]) -> None:
        """Appends the samples that one row became."""
        for sample in samples:
            self._tokens.write(sample.ids.astype("<i4", copy=False).tobytes())
            self._targets.write(sample.targets.tobytes())
            self._lengths.append(len(sample.ids))
            self._supervised.append(int(sample.targets.sum()))
            self._row_of_sample.append(self.num_rows)
        self.num_rows += 1

    def finish(self, *, fraction: float, seed: int) -> dict[str, SplitFacts]:
        """Splits the rows and writes the indices."""
        lengths = np.asarray(self._lengths, dtype=np.int64)
        supervised = np.asarray(self._supervised, dtype=np.int32)
        np.save(self._directory / OFFSETS, np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)]))
        np.save(self._directory / SUPERVISED, supervised)
        held_out = held_out_rows(self.num_rows, fraction=fraction, seed=seed)
        in_validation = held_out[np.asarray(self._row_of_sample, dtype=np.int64)]
        facts = {}
        for name, chosen in zip(SPLITS, (~in_validation, in_validation), strict=True):
            members = np.flatnonzero(chosen)
            np.save(self._directory / f"{name}.npy", members)
            num_rows = int((held_out if name == "validation" else ~held_out).sum())
            facts[name] = SplitFacts(num_rows, int(lengths[members].sum()), int(supervised[members].sum()))
        return facts


def held_out_rows(num_rows: int, *, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Which rows are held out for evaluation: at least one if any is wanted, and never all.

    Returns:
        True for rows that are held out, shape [num_rows]; a function of the arguments alone.
    """
    wanted = min(max(round(num_rows * fraction), 1 if fraction > 0 else 0), max(num_rows - 1, 0))
    generator = np.random.Generator(np.random.PCG64([_DOMAIN, seed]))
    held_out = np.zeros(num_rows, dtype=np.bool_)
    held_out[generator.permutation(num_rows)[:wanted]] = True
    return held_out
