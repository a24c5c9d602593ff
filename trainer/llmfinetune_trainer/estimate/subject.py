"""What an estimate is made for: the model's structure and the samples."""

from typing import Any, NamedTuple

from llmfinetune_trainer.data.prepared import Prepared
from llmfinetune_trainer.engine.batches import Samples

BYTES_PER_TOKEN = 5
"""Of prepared data: the token and whether it is a target."""


class Subject(NamedTuple):
    """A model and its data."""

    model: Any
    """The transformers model, without weights."""
    samples: Samples
    """Training samples: all, or the first ones."""
    num_samples: int
    """Training samples in all."""
    num_held_out: int
    """Samples held out for evaluation."""

    @property
    def data_bytes(self) -> int:
        """Size of the prepared data."""
        count = self.num_samples + self.num_held_out
        return int(self.samples.lengths.mean() * count) * BYTES_PER_TOKEN


def prepared_subject(model: Any, prepared: Prepared) -> Subject:
    """A model and what preparation left."""
    return Subject(model, prepared.train, prepared.train.num_samples, prepared.validation.num_samples)
