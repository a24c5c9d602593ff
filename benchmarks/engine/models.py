"""The model of one measurement: weights from disk, or random ones."""

from pathlib import Path
from typing import Any

import torch

from benchmarks.models import config_of, random_model
from llmfinetune_trainer.model.load import load_base
from llmfinetune_trainer.model.quantised import Quantization


def make_model(
    path: Path,
    *,
    shape: str | None = None,
    vocabulary: int | None = None,
    quantization: Quantization | None = None,
) -> Any:
    """The model at `path`, frozen, in bf16.

    Args:
        path: directory with config.json; without model.safetensors the weights are random.
        shape: a key of `SHAPES`: random weights of that shape instead.
        vocabulary: another number of tokens than the configuration's: random weights too.
        quantization: how the linear layers of weights from disk are kept.
    """
    if shape is None and vocabulary is None and (path / "model.safetensors").exists():
        return load_base(path, dtype=torch.bfloat16, quantization=quantization)
    if quantization is not None:
        raise ValueError(
            f"only weights from disk can be quantised: name a directory that has them, not {path}"
        )
    return random_model(config_of(path, shape=shape, vocabulary=vocabulary)).requires_grad_(False).eval()
