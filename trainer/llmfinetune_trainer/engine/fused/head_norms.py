"""Normalisation of each head's queries and keys before rotation, where the family has it (Qwen3)."""

from typing import NamedTuple

from torch import Tensor

from llmfinetune_trainer.engine.fused.layer import Layer, Pass


class SavedHeads(NamedTuple):
    """Queries and keys before normalisation, [rows, heads · size], and 1 / rms of each head."""

    raw: Tensor
    rstds: list[Tensor]


def forward(layer: Layer, qkv: Tensor, run: Pass, *, tag: str) -> SavedHeads | None:
    """Normalises the heads in place; keeps what they were."""
    if layer.query_norm is None or layer.key_norm is None:
        return None
    size = run.heads.size
    raw = run.space.take(f"{tag}.raw", len(qkv), run.heads.query_columns + run.heads.key_columns)
    raw.copy_(qkv[:, : raw.shape[1]])
    rstds = [
        run.kernels.rms_norm(raw[:, at : at + size], weight, eps=run.eps, out=qkv[:, at : at + size])
        for at, weight in _heads(layer, run)
    ]
    return SavedHeads(raw, rstds)


def backward(layer: Layer, saved: SavedHeads, slope: Tensor, run: Pass) -> None:
    """Turns the gradient of normalised heads into that of the raw ones, in place."""
    size = run.heads.size
    for (at, weight), rstd in zip(_heads(layer, run), saved.rstds, strict=True):
        part = slope[:, at : at + size]
        raw = saved.raw[:, at : at + size]
        run.kernels.rms_norm_backward(part, raw, weight, rstd=rstd, out=part, accumulate=False)


def _heads(layer: Layer, run: Pass) -> list[tuple[int, Tensor]]:
    """First column and norm weight of every query and key head."""
    assert layer.query_norm is not None
    assert layer.key_norm is not None
    weights = [layer.query_norm] * run.heads.num_query + [layer.key_norm] * run.heads.num_key
    return [(index * run.heads.size, weight) for index, weight in enumerate(weights)]
