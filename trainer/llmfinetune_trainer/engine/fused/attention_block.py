"""The first half of a decoder layer, attention over normalised inputs, forward and backward.

With x̂ = norm(x), [q k v] = qkv(x̂), queries and keys normalised where the family does so and rotated by
position, and m = attention(q, k, v), the half adds o(m) to the residual stream. Backward, with g the
gradient of the stream behind it,

    dm = oᵀ(g)                d[q k v] = rotation⁻¹(attention_backward(dm))
    dx̂ = qkvᵀ(d[q k v])       dx = g + norm_backward(dx̂)

Queries, keys and values are kept; x̂ is computed again from x.
"""

from typing import NamedTuple

from torch import Tensor

from llmfinetune_trainer.engine.fused import head_norms
from llmfinetune_trainer.engine.fused.head_norms import SavedHeads
from llmfinetune_trainer.engine.fused.layer import Layer, Pass


class SavedAttention(NamedTuple):
    """What the backward pass needs: [rows, …] of the micro-batch."""

    x: Tensor
    rstd: Tensor
    qkv: Tensor
    low_qkv: Tensor
    heads: SavedHeads | None
    statistics: Tensor
    mixed: Tensor
    """m; overwritten by later layers unless this layer's output projection learns."""
    low_output: Tensor


class Stream(NamedTuple):
    """The residual stream as a pair that stands for its sum, which is taken where the next norm reads it."""

    base: Tensor
    delta: Tensor | None


def forward(
    layer: Layer, stream: Stream, run: Pass, *, tag: str, kept: Tensor | None
) -> tuple[Stream, SavedAttention]:
    """Computes the half.

    Args:
        layer: its weights.
        stream: [rows, hidden].
        run: the pass.
        tag: prefix of the buffers for what is saved, apart from the layer's input.
        kept: rows that go on after attention; `None` keeps all.
    """
    take = run.space.take
    rows, hidden = stream.base.shape
    normed = take("normed", rows, hidden + layer.qkv.rank)
    x = stream.base if stream.delta is None else take(f"{layer.number}.x", rows, hidden)
    rstd = run.kernels.rms_norm(
        stream.base, layer.input_norm, eps=run.eps, out=normed[:, :hidden], delta=stream.delta, total=x
    )
    qkv = take(f"{tag}.qkv", rows, layer.qkv.outputs)
    low_qkv = layer.qkv.forward(normed, out=qkv, masks=run.masks(layer.qkv))
    heads = head_norms.forward(layer, qkv, run, tag=tag)
    run.kernels.rotate(_turned(qkv, run), run.rotary, run.rows.positions, size=run.heads.size)
    width = layer.output.inputs
    mixed = take(f"{tag}.mixed" if layer.output.rank else "mixed", rows, width + layer.output.rank)
    statistics = run.kernels.attention(qkv, run.rows.documents, run.heads, out=mixed[:, :width])
    residual = x
    if kept is not None:
        mixed, residual = mixed[kept], x[kept]
    update = take("update", len(mixed), hidden)
    low_output = layer.output.forward(mixed, out=update, masks=run.masks(layer.output, kept))
    saved = SavedAttention(x, rstd, qkv, low_qkv, heads, statistics, mixed[:, :width], low_output)
    return Stream(residual, update), saved


def backward(
    layer: Layer, saved: SavedAttention, slope: Tensor, run: Pass, *, kept: Tensor | None, wants_input: bool
) -> Tensor:
    """Adds the half's gradients; returns the gradient of its input, where that is wanted.

    Args:
        layer: its weights.
        saved: what the forward pass left.
        slope: [rows kept, hidden + rank], gradient of the stream behind the half; overwritten.
        run: the pass.
        kept: as in the forward pass.
        wants_input: whether anything before this half learns.
    """
    take = run.space.take
    rows, hidden = saved.x.shape
    masks = run.masks(layer.output, kept)
    upstream = slope[:, : hidden + layer.output.rank]
    if layer.output.rank:
        layer.output.adapter_gradients(
            saved.mixed, saved.low_output, upstream, masks=masks, weight=run.weight
        )
    if not (layer.qkv.rank or wants_input):
        return slope
    of_mixed = take("of_mixed", len(slope), layer.output.inputs)
    layer.output.input_gradient(upstream, out=of_mixed, masks=masks)
    if kept is not None:
        of_mixed, slope = _spread(of_mixed, kept, rows), _spread(slope, kept, rows)
    of_qkv = take("of_qkv", rows, layer.qkv.outputs + layer.qkv.rank)
    own = of_qkv[:, : layer.qkv.outputs]
    run.kernels.attention_backward(
        of_mixed, saved.qkv, saved.statistics, run.rows.documents, run.heads, out=own
    )
    run.kernels.rotate(_turned(own, run), run.rotary, run.rows.positions, size=run.heads.size, backward=True)
    if saved.heads is not None:
        head_norms.backward(layer, saved.heads, own, run)
    _backward_qkv(layer, saved, of_qkv, slope[:, :hidden], run, wants_input=wants_input)
    return slope


def _backward_qkv(
    layer: Layer, saved: SavedAttention, of_qkv: Tensor, slope: Tensor, run: Pass, *, wants_input: bool
) -> None:
    masks, kernels = run.masks(layer.qkv), run.kernels
    normed = run.space.take("normed", *saved.x.shape)
    if layer.qkv.rank:
        kernels.rms_norm(saved.x, layer.input_norm, eps=run.eps, out=normed)
        layer.qkv.adapter_gradients(normed, saved.low_qkv, of_qkv, masks=masks, weight=run.weight)
    if wants_input:
        layer.qkv.input_gradient(of_qkv, out=normed, masks=masks)
        kernels.rms_norm_backward(
            normed, saved.x, layer.input_norm, rstd=saved.rstd, out=slope, accumulate=True
        )


def _turned(qkv: Tensor, run: Pass) -> Tensor:
    return qkv[:, : run.heads.query_columns + run.heads.key_columns]


def _spread(x: Tensor, kept: Tensor, rows: int) -> Tensor:
    """[kept rows, …] → [rows, …], zero elsewhere."""
    return x.new_zeros(rows, x.shape[1]).index_copy_(0, kept, x)
