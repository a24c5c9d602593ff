"""A frozen linear layer and its adapters as one matrix, so that both are one product.

With the frozen weight W [outputs, inputs], adapters A [r, inputs] and B [outputs, r], and scale s, the
layer computes y = W·x + B·z with z = s·A·x. Several layers with the same input (q, k, v; gate, up) stack
their rows, and everything lies in one matrix

    M = [ W  B ]    forward:   z = s·x·Aᵀ       y  = [x z]·[W B]ᵀ
        [ A  0 ]    backward:  dz = s·dy·B      dx = [dy dz]·[W; A]     dA = dzᵀ·x     dB = dyᵀ·z

where B is block-diagonal over the stacked layers. The rows of x and dy are longer than the layer's inputs
and outputs by the sum of the ranks, and z and dz are written there: no skinny product ever touches a
full-size tensor. The model's and peft's own parameters become views of M, so that nothing is held twice and
a step of the optimizer needs no copy.

With dropout every adapter has its own input x∘mask/(1-p), made again from a hash where it is needed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from llmfinetune_trainer.engine.fused.kernels import Dropout, Kernels
from llmfinetune_trainer.engine.fused.matrix import become_view, matrix_of
from llmfinetune_trainer.engine.fused.space import Space


class Adapter(NamedTuple):
    """Where one layer's adapter lies in the stacked matrix."""

    outputs: slice
    """Its layer's outputs among the stacked ones."""
    ranks: slice
    """Its ranks among the stacked ones."""
    gradient_a: Tensor
    gradient_b: Tensor
    """Views of the flat gradient, in 32 bits."""
    identity: int
    """Number of the adapted layer in the model; names its dropout masks."""


class Masks(NamedTuple):
    """The dropout masks of one layer's adapters, for the rows at hand."""

    dropouts: Mapping[int, Dropout]
    """By the adapters' identity; empty without dropout."""
    kernels: Kernels
    space: Space

    def dropped(self, x: Tensor, identity: int) -> Tensor:
        """x∘mask/(1-p), in a buffer that the next call overwrites."""
        out = self.space.take("dropped", *x.shape)
        self.kernels.dropout(x, self.dropouts[identity], out=out)
        return out

    def add(self, x: Tensor, identity: int, *, out: Tensor) -> None:
        """out += x∘mask/(1-p)."""
        self.kernels.dropout(x, self.dropouts[identity], out=out, accumulate=True)


class FusedLinear:
    """Stacked linear layers with the same input, and their adapters.

    Args:
        modules: the model's layers, each a plain linear layer or peft's wrapper of one.
        gradients: views of the flat gradient by the identity of peft's parameter.
        first_identity: number of the first of `modules` in the model.
    """

    def __init__(
        self, modules: Sequence[Any], gradients: Mapping[int, Tensor], *, first_identity: int
    ) -> None:
        bases = [getattr(module, "base_layer", module) for module in modules]
        self.inputs: int = bases[0].in_features
        self.outputs: int = sum(base.out_features for base in bases)
        adapted = [module for module in modules if module is not getattr(module, "base_layer", module)]
        self.rank: int = sum(module.r["default"] for module in adapted)
        self.scale = adapted[0].scaling["default"] if adapted else 1.0
        self.bias = _stacked_bias(bases)
        self.adapters: list[Adapter] = []
        self._matrix = matrix_of(bases, outputs=self.outputs, inputs=self.inputs, rank=self.rank)
        self._adopt(modules, bases, gradients, first_identity)

    def _adopt(
        self, modules: Sequence[Any], bases: Sequence[Any], gradients: Mapping[int, Tensor], first: int
    ) -> None:
        row, rank = 0, 0
        for number, (module, base) in enumerate(zip(modules, bases, strict=True)):
            outputs = slice(row, row + base.out_features)
            row = outputs.stop
            if module is base:
                continue
            ranks = slice(rank, rank + module.r["default"])
            rank = ranks.stop
            a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
            views = gradients[id(a)], gradients[id(b)]
            become_view(a, self._matrix.down[ranks])
            become_view(b, self._matrix.up[outputs, ranks])
            self.adapters.append(Adapter(outputs, ranks, *views, identity=first + number))

    def forward(self, x: Tensor, *, out: Tensor, masks: Masks) -> Tensor:
        """Computes out [rows, outputs] from x [rows, inputs + rank], whose last columns it writes.

        Returns:
            A copy of those columns, z, which the backward pass needs.
        """
        plain, low = x[:, : self.inputs], x[:, self.inputs :]
        if self.rank:
            self._project(plain, low, masks)
        weight = self._matrix.whole(masks.space)[: self.outputs]
        masks.kernels.product(x, weight.t(), out=out, bias=self.bias)
        return low.clone()

    def _project(self, x: Tensor, low: Tensor, masks: Masks) -> None:
        down = self._matrix.down.t()
        product = masks.kernels.product
        if not masks.dropouts:
            product(x, down, out=low)
        for adapter in self.adapters if masks.dropouts else ():
            product(masks.dropped(x, adapter.identity), down[:, adapter.ranks], out=low[:, adapter.ranks])
        low.mul_(self.scale)

    def adapter_gradients(
        self, x: Tensor, low: Tensor, upstream: Tensor, *, masks: Masks, weight: float
    ) -> None:
        """Adds `weight` times the adapters' gradients to the flat gradient, and writes dz beside dy.

        Args:
            x: [rows, inputs].
            low: [rows, rank], z of the forward pass.
            upstream: [rows, outputs + rank], dy; its last columns receive dz.
            masks: those of the forward pass.
            weight: factor of the gradients.
        """
        slope, low_slope = upstream[:, : self.outputs], upstream[:, self.outputs :]
        over_rows = masks.kernels.product_over_rows
        masks.kernels.product(slope, self._matrix.up, out=low_slope)
        low_slope.mul_(self.scale)
        of_b = over_rows(low, slope)
        of_a = None if masks.dropouts else over_rows(low_slope, x)
        for adapter in self.adapters:
            adapter.gradient_b.add_(of_b[adapter.ranks, adapter.outputs].t(), alpha=weight)
            if of_a is None:
                dropped = masks.dropped(x, adapter.identity)
                adapter.gradient_a.add_(over_rows(low_slope[:, adapter.ranks], dropped), alpha=weight)
            else:
                adapter.gradient_a.add_(of_a[adapter.ranks], alpha=weight)

    def input_gradient(self, upstream: Tensor, *, out: Tensor, masks: Masks) -> None:
        """Computes out [rows, inputs] = dx from dy with dz beside it."""
        product, whole = masks.kernels.product, self._matrix.whole(masks.space)
        if not masks.dropouts:
            product(upstream, whole[:, : self.inputs], out=out)
            return
        product(upstream[:, : self.outputs], whole[: self.outputs, : self.inputs], out=out)
        for adapter in self.adapters:
            low = upstream[:, self.outputs :][:, adapter.ranks]
            masks.add(torch.mm(low, self._matrix.down[adapter.ranks]), adapter.identity, out=out)


def _stacked_bias(bases: Sequence[Any]) -> Tensor | None:
    some: Tensor | None = next((base.bias for base in bases if base.bias is not None), None)
    if some is None:
        return None
    biases = [some.new_zeros(base.out_features) if base.bias is None else base.bias for base in bases]
    return torch.cat(biases).detach()
