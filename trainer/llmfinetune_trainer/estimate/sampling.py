"""What an estimate is made for before preparation: the model's structure without its weights, and as many
samples as tell what the others are like."""

import os
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.build import encoded_rows, open_examples
from llmfinetune_trainer.data.encode import Sample
from llmfinetune_trainer.data.prepared import open_prepared
from llmfinetune_trainer.data.tokenizer import load_tokenizer
from llmfinetune_trainer.errors import RunError, data_error
from llmfinetune_trainer.estimate.subject import Subject, prepared_subject
from llmfinetune_trainer.model.materialise import tokenizer_directory
from llmfinetune_trainer.model.targets import model_skeleton
from llmfinetune_trainer.prepare import outline
from llmfinetune_trainer.sources.context import FetchContext, sources_root
from llmfinetune_trainer.sources.datafiles import fetch_data

SAMPLED_ROWS = 1000
"""Rows that stand for all of them before the data is prepared."""


class MemorySamples:
    """Samples that are not on disk."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = list(samples)
        self.num_samples = len(self._samples)
        self.lengths: NDArray[np.int32] = np.array([len(each.ids) for each in self._samples], dtype=np.int32)
        self.supervised: NDArray[np.int32] = np.array(
            [int(each.targets.sum()) for each in self._samples], dtype=np.int32
        )

    def tokens(self, index: int) -> NDArray[np.int32]:
        """See `Samples`."""
        return self._samples[index].ids

    def loss_mask(self, index: int) -> NDArray[np.bool_]:
        """See `Samples`."""
        return self._samples[index].targets


def subject_of(
    config: RunConfig,
    layout: Layout,
    *,
    token: str | None,
    offline: bool,
    progress: Callable[[str], None],
) -> Subject:
    """What is prepared, else the model's structure and the first rows of the data; no weights are fetched.

    Raises:
        RunError: naming what is wrong with model, data or settings, and what to do.
    """
    try:
        prepared = open_prepared(config, layout)
        return prepared_subject(model_skeleton(prepared.model_path), prepared)
    except RunError:
        progress(f"not prepared yet: the first {SAMPLED_ROWS} rows stand for all of them")
    context = FetchContext(
        layout, progress, sources_root(), token, offline=offline, endpoint=os.environ.get("HF_ENDPOINT")
    )
    return _sampled(config, context)


def _sampled(config: RunConfig, context: FetchContext) -> Subject:
    (context.layout.cache / "models").mkdir(parents=True, exist_ok=True)
    data = fetch_data(config.dataset, context)
    num_rows = sum(1 for _ in open_examples(data.paths, config.dataset).items)
    model = outline(config, context)
    with TemporaryDirectory() as scratch:
        tokenizer = load_tokenizer(tokenizer_directory(model.files, Path(scratch)))
    examples = open_examples(data.paths, config.dataset)
    first = examples._replace(items=islice(examples.items, SAMPLED_ROWS))
    samples = [
        sample
        for _, encoded in encoded_rows(first, config=config, tokenizer=tokenizer, progress=context.progress)
        for sample in encoded.samples
    ]
    if not samples:
        raise data_error(
            "AllLabelsMasked",
            f"none of the first {SAMPLED_ROWS} rows has a token to learn",
            hint="run `llmfinetune prepare`: it looks at all rows, and says why each is left out",
        )
    total = round(len(samples) * num_rows / min(num_rows, SAMPLED_ROWS))
    held_out = round(total * config.dataset.validation_split)
    return Subject(model.skeleton, MemorySamples(samples), total - held_out, held_out)
