"""The second half of a decoder layer, the gated MLP over normalised inputs, forward and backward.

With x̂ = norm(x), [a b] = gate_up(x̂) and s = a·sigmoid(a)·b, the half adds down(s) to the residual stream.
Backward, with g the gradient of the stream behind it,

    ds = downᵀ(g)    d[a b] = swiglu_backward(ds)    dx̂ = gate_upᵀ(d[a b])    dx = g + norm_backward(dx̂)

[a b] is kept; s and x̂ are computed again.
"""

from typing import NamedTuple

from torch import Tensor

from llmfinetune_trainer.engine.fused.attention_block import Stream
from llmfinetune_trainer.engine.fused.layer import Layer, Pass


class SavedMlp(NamedTuple):
    """What the backward pass needs: [rows kept, …]."""

    x: Tensor
    rstd: Tensor
    gate_up: Tensor
    low_gate_up: Tensor
    low_down: Tensor


def forward(
    layer: Layer, stream: Stream, run: Pass, *, tag: str, kept: Tensor | None
) -> tuple[Stream, SavedMlp]:
    """Computes the half; arguments as for attention's."""
    take = run.space.take
    rows, hidden = stream.base.shape
    x = take(f"{tag}.middle", rows, hidden)
    normed = take("normed", rows, hidden + layer.gate_up.rank)
    rstd = run.kernels.rms_norm(
        stream.base, layer.middle_norm, eps=run.eps, out=normed[:, :hidden], delta=stream.delta, total=x
    )
    gate_up = take(f"{tag}.gate_up", rows, layer.gate_up.outputs)
    low_gate_up = layer.gate_up.forward(normed, out=gate_up, masks=run.masks(layer.gate_up, kept))
    gated = take("gated", rows, layer.down.inputs + layer.down.rank)
    run.kernels.swiglu(gate_up, out=gated[:, : layer.down.inputs])
    update = take("update", rows, hidden)
    low_down = layer.down.forward(gated, out=update, masks=run.masks(layer.down, kept))
    return Stream(x, update), SavedMlp(x, rstd, gate_up, low_gate_up, low_down)


def backward(
    layer: Layer, saved: SavedMlp, slope: Tensor, run: Pass, *, kept: Tensor | None, wants_input: bool
) -> None:
    """Adds the half's gradients, and turns `slope` [rows kept, hidden + rank] into that of its input."""
    rows, hidden = saved.x.shape
    masks = run.masks(layer.down, kept)
    upstream = slope[:, : hidden + layer.down.rank]
    if layer.down.rank:
        gated = run.space.take("gated", rows, layer.down.inputs)
        run.kernels.swiglu(saved.gate_up, out=gated)
        layer.down.adapter_gradients(gated, saved.low_down, upstream, masks=masks, weight=run.weight)
    if not (layer.gate_up.rank or wants_input):
        return
    of_gated = run.space.take("gated", rows, layer.down.inputs)
    layer.down.input_gradient(upstream, out=of_gated, masks=masks)
    of_gate_up = _gate_up_slope(layer, saved, run)
    run.kernels.swiglu_backward(of_gated, saved.gate_up, out=of_gate_up[:, : layer.gate_up.outputs])
    _backward_gate_up(layer, saved, of_gate_up, slope[:, :hidden], run, kept=kept, wants_input=wants_input)


def _gate_up_slope(layer: Layer, saved: SavedMlp, run: Pass) -> Tensor:
    """Where the gradient goes: over gate and up themselves, unless adapters need columns beside it."""
    if not layer.gate_up.rank:
        return saved.gate_up
    return run.space.take("of_gate_up", len(saved.x), layer.gate_up.outputs + layer.gate_up.rank)


def _backward_gate_up(
    layer: Layer,
    saved: SavedMlp,
    of_gate_up: Tensor,
    slope: Tensor,
    run: Pass,
    *,
    kept: Tensor | None,
    wants_input: bool,
) -> None:
    masks, kernels = run.masks(layer.gate_up, kept), run.kernels
    normed = run.space.take("normed", *saved.x.shape)
    if layer.gate_up.rank:
        kernels.rms_norm(saved.x, layer.middle_norm, eps=run.eps, out=normed)
        layer.gate_up.adapter_gradients(normed, saved.low_gate_up, of_gate_up, masks=masks, weight=run.weight)
    if wants_input:
        layer.gate_up.input_gradient(of_gate_up, out=normed, masks=masks)
        kernels.rms_norm_backward(
            normed, saved.x, layer.middle_norm, rstd=saved.rstd, out=slope, accumulate=True
        )
