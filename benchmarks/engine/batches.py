"""Micro-batches of real data, in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmfinetune_trainer.config.run import DatasetConfig
from llmfinetune_trainer.data.build import open_examples
from llmfinetune_trainer.data.encode import Sample, encode
from llmfinetune_trainer.data.templates import render
from llmfinetune_trainer.data.tokenizer import chat_renderer, load_tokenizer
from llmfinetune_trainer.engine.batches import MicroBatch, micro_batch, packed

MAX_LENGTH = 512


class MemorySamples:
    """`Samples` that lie in memory."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    @property
    def num_samples(self) -> int:
        """How many there are."""
        return len(self._samples)

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Tokens of each."""
        return np.array([len(sample.ids) for sample in self._samples], dtype=np.int32)

    @property
    def supervised(self) -> NDArray[np.int32]:
        """Supervised tokens of each."""
        return np.array([sample.targets.sum() for sample in self._samples], dtype=np.int32)

    def tokens(self, index: int) -> NDArray[np.int32]:
        """Token ids of one sample."""
        return self._samples[index].ids

    def loss_mask(self, index: int) -> NDArray[np.bool_]:
        """Which of its tokens carry loss."""
        return self._samples[index].targets


def load_samples(data: Path, tokenizer_path: Path, *, rows: int) -> MemorySamples:
    """Samples of `rows` shuffled rows in the Alpaca template."""
    tokenizer: Any = load_tokenizer(tokenizer_path)
    examples = open_examples([data], DatasetConfig(source=str(data.absolute())))
    chat = chat_renderer(tokenizer)
    rendered = [
        render(example, template="alpaca", chat=chat, train_on_inputs=False) for _, example in examples.items
    ]
    order = np.random.default_rng(0).permutation(len(rendered))[:rows]
    encoded = encode(
        [rendered[index] for index in order], tokenizer, max_length=MAX_LENGTH, cut_into_several=False
    )
    return MemorySamples([sample for each in encoded for sample in each.samples])


def micro_batches(samples: MemorySamples, *, tokens: int) -> list[MicroBatch]:
    """Micro-batches of one step over all samples, packed as in training."""
    return [micro_batch(samples, indices) for indices in packed(samples.lengths, budget=tokens)]
