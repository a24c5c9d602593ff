"""Which samples are in the weights that came out: read from the volume, held against the epochs' order."""

import json
import zlib
from collections import Counter
from typing import NamedTuple

from llmfinetune_trainer.data.order import samples_at
from tests.e2e.session import Session

BATCH_SIZE = 8
NUM_SAMPLES = 216
SEED = 42


class Samples(NamedTuple):
    """Samples that count other than exactly once an epoch."""

    lost: int
    repeated: int


def assert_every_sample_once(session: Session, name: str, *, steps: int) -> None:
    """Asserts that the history of the weights holds every step once, each with exactly its samples.

    The samples of a step follow from (seed, cursor) alone, and an epoch's order names every sample once.
    """
    assert count_samples(session.read(name, "logs/metrics.jsonl"), steps=steps) == Samples(0, 0)


def count_samples(history: str, *, steps: int) -> Samples:
    """Counts in a whole history, `metrics.jsonl`, the samples of steps that are missing or there twice."""
    lines = [json.loads(line) for line in history.splitlines()]
    found = Counter((line["step"], line["cursor"], line["samples"]) for line in lines if "samples" in line)
    wanted = Counter((step, step * BATCH_SIZE, fingerprint(step)) for step in range(1, steps + 1))
    return Samples(lost=BATCH_SIZE * (wanted - found).total(), repeated=BATCH_SIZE * (found - wanted).total())


def fingerprint(step: int) -> str:
    """Returns what the trainer must have written about the samples of a step."""
    samples = samples_at(SEED, (step - 1) * BATCH_SIZE, BATCH_SIZE, NUM_SAMPLES)
    return f"{zlib.crc32(samples.astype('<i8').tobytes()):08x}"
