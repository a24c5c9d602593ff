"""Where the matrix of stacked layers and their adapters is: in memory as it is multiplied, or quantised.

    M = [ W  B ]     W [outputs, inputs] frozen, A [rank, inputs] and B [outputs, rank] learning
        [ A  0 ]

The model's and peft's own parameters become views of what is kept here.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from llmfinetune_trainer.engine.fused.space import Space
from llmfinetune_trainer.model.quantised import QuantisedLinear


class Matrix(Protocol):
    """M, of which parts can be had for less than the whole."""

    up: Tensor
    """B, block-diagonal over the stacked layers."""
    down: Tensor
    """A, stacked."""

    def whole(self, space: Space) -> Tensor:
        """M [outputs + rank, inputs + rank], until another layer is asked for its own."""


class PlainMatrix:
    """M as it is multiplied; frozen weights become views of it."""

    def __init__(self, bases: Sequence[Any], *, outputs: int, inputs: int, rank: int) -> None:
        self._whole: Tensor = bases[0].weight.new_zeros(outputs + rank, inputs + rank)
        self.up, self.down = self._whole[:outputs, inputs:], self._whole[outputs:, :inputs]
        row = 0
        for base in bases:
            become_view(base.weight, self._whole[row : row + len(base.weight), :inputs])
            row += len(base.weight)

    def whole(self, space: Space) -> Tensor:
        """See `Matrix`."""
        return self._whole


class QuantisedMatrix:
    """W as the layers store it; M is put together where it is needed, in a buffer that all layers share."""

    def __init__(self, bases: Sequence[QuantisedLinear], *, outputs: int, inputs: int, rank: int) -> None:
        self._bases = bases
        scales = bases[0].get_buffer("scales")
        self.up, self.down = scales.new_zeros(outputs, rank), scales.new_zeros(rank, inputs)

    def whole(self, space: Space) -> Tensor:
        """See `Matrix`."""
        outputs, (rank, inputs) = len(self.up), self.down.shape
        whole = space.take("matrix", outputs + rank, inputs + rank)
        row = 0
        for base in self._bases:
            base.dequantise(out=whole[row : row + base.out_features, :inputs])
            row += base.out_features
        whole[:outputs, inputs:], whole[outputs:, :inputs] = self.up, self.down
        return whole


def matrix_of(bases: Sequence[Any], *, outputs: int, inputs: int, rank: int) -> Matrix:
    """The matrix of layers as they are loaded."""
    kind = QuantisedMatrix if isinstance(bases[0], QuantisedLinear) else PlainMatrix
    return kind(bases, outputs=outputs, inputs=inputs, rank=rank)


def become_view(parameter: Any, view: Tensor) -> None:
    """Moves a parameter's content into `view`, and makes the parameter that view."""
    view.copy_(parameter.detach())
    parameter.data = view
