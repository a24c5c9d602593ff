"""Frozen weights in 8 or 4 bits, and linear layers that hold them so.

A layer's weight [outputs, inputs] becomes whole numbers and the scales that turn them back. Products
are computed in the type of the computation: a layer is dequantised right before each of its products, into a
buffer that the next layer overwrites.
"""

import math
from collections.abc import Iterator
from typing import Any, Final, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import Parameter, functional

Quantization = Literal["int8", "nf4"]

NF4: Final = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""The 16 numbers of 4-bit NormalFloat: Dettmers et al. 2023, arXiv:2305.14314, appendix E."""
BLOCK: Final = 64
"""Neighbouring weights of a row that share a scale in nf4."""
CHUNK: Final = 1 << 18
"""Weights that are quantised and dequantised at a time in nf4: what lies between stays small."""


class Scheme(Protocol):
    """A way to store a matrix."""

    bits: float
    """Stored bits for each weight, scales included."""

    def quantise(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and scales of a matrix; the scales have its type."""

    def dequantise(self, codes: Tensor, scales: Tensor, *, out: Tensor) -> None:
        """Writes the matrix into `out` [outputs, inputs], whose rows need not be neighbours."""


class Int8:
    """One scale for each output: w ≈ code·scale, with scale = max|w| / 127."""

    bits = 8.0

    def quantise(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """See `Scheme`."""
        scales = (weight.float().abs().amax(1, keepdim=True) / 127.0).clamp_min_(1e-30).to(weight.dtype)
        return (weight.float() / scales.float()).round_().clamp_(-127, 127).to(torch.int8), scales

    def dequantise(self, codes: Tensor, scales: Tensor, *, out: Tensor) -> None:
        """See `Scheme`."""
        out.copy_(codes).mul_(scales)


class NormalFloat4:
    """One scale for each block of a row: w ≈ NF4[code]·max|w|. Two codes share a byte, the first one low."""

    bits = 4.0 + 16.0 / BLOCK

    def quantise(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """See `Scheme`."""
        outputs, inputs = weight.shape
        blocks = weight.view(outputs, -1, _block(inputs))
        codes = torch.empty(outputs, inputs // 2, dtype=torch.uint8)
        scales = weight.new_empty(*blocks.shape[:2], 1)
        for part in _chunks(outputs, inputs):
            wide = blocks[part].float()
            scales[part] = wide.abs().amax(-1, keepdim=True).clamp_min_(1e-30)
            codes[part] = _nearest(wide / scales[part].float()).flatten(1)
        return codes, scales

    def dequantise(self, codes: Tensor, scales: Tensor, *, out: Tensor) -> None:
        """See `Scheme`."""
        outputs, blocks = scales.shape[:2]
        pairs = _pairs(out)
        wide = torch.unflatten(out, 1, (blocks, -1))
        for part in _chunks(outputs, out.shape[1]):
            numbers = pairs.index_select(0, codes[part].flatten().int()).view(out.dtype)
            torch.mul(numbers.view(wide[part].shape), scales[part], out=wide[part])


SCHEMES: Final[dict[Quantization, Scheme]] = {"int8": Int8(), "nf4": NormalFloat4()}


class Scratch:
    """One buffer that all layers of a model dequantise into by turns; as large as the largest wanted it."""

    def __init__(self) -> None:
        self._buffer = torch.empty(0)

    def take(self, rows: int, columns: int, like: Tensor) -> Tensor:
        """[rows, columns] of the type and on the device of `like`; the next call overwrites it."""
        if self._buffer.numel() < rows * columns:
            self._buffer = torch.empty(rows * columns, dtype=like.dtype, device=like.device)
        return self._buffer[: rows * columns].view(rows, columns)


class QuantisedLinear(torch.nn.Linear):
    """A frozen linear layer whose weight is stored by a scheme; `weight` holds the codes.

    Args:
        weight: [outputs, inputs], in the type of the computation.
        bias: [outputs], or none.
        quantization: how to store it.
        scratch: the model's buffer for products.
        is_conv1d: whether it stands for a layer of GPT-2, whose files hold the weight as [inputs, outputs].
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        quantization: Quantization,
        scratch: Scratch,
        is_conv1d: bool = False,
    ) -> None:
        outputs, inputs = weight.shape
        super().__init__(inputs, outputs, bias=bias is not None, device="meta")
        self.is_conv1d = is_conv1d
        self._scheme, self._scratch = SCHEMES[quantization], scratch
        codes, scales = self._scheme.quantise(weight)
        self.weight = Parameter(codes, requires_grad=False)
        self.register_buffer("scales", scales)
        if bias is not None:
            self.bias = Parameter(bias, requires_grad=False)

    def dequantise(self, *, out: Tensor) -> Tensor:
        """Writes the weight into `out` [outputs, inputs], and returns it."""
        self._scheme.dequantise(self.weight, self.get_buffer("scales"), out=out)
        return out

    def dequantised(self) -> Tensor:
        """The weight [outputs, inputs], until another layer of the model is asked for its own."""
        scales = self.get_buffer("scales")
        return self.dequantise(out=self._scratch.take(self.out_features, self.in_features, scales))

    def forward(self, x: Tensor) -> Tensor:
        """[…, inputs] → […, outputs]; differentiable with respect to x."""
        result: Tensor = _Product.apply(x, self)  # type: ignore[no-untyped-call]
        return result


class _Product(torch.autograd.Function):
    """Nothing of the weight's full size outlives either pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: QuantisedLinear) -> Tensor:
        ctx.layer = layer
        return functional.linear(x, layer.dequantised(), layer.bias)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        layer: QuantisedLinear = ctx.layer
        return upstream[0] @ layer.dequantised(), None


def _chunks(outputs: int, inputs: int) -> Iterator[slice]:
    rows = max(1, CHUNK // inputs)
    return (slice(start, start + rows) for start in range(0, outputs, rows))


def _nearest(scaled: Tensor) -> Tensor:
    """The bytes of the numbers nearest to pairs of neighbours: [rows, blocks, block] → [rows, blocks,
    block / 2]."""
    numbers = torch.tensor(NF4)
    codes = torch.bucketize(scaled, (numbers[1:] + numbers[:-1]) / 2.0, out_int32=True).to(torch.uint8)
    return codes[..., 0::2] | (codes[..., 1::2] << 4)


def _block(inputs: int) -> int:
    """Weights that share a scale: a divisor of the row's length."""
    return math.gcd(inputs, BLOCK)


def _pairs(out: Tensor) -> Tensor:
    """[256]: the two numbers that each byte stands for, as one word of twice their size."""
    numbers = torch.tensor(NF4, dtype=out.dtype, device=out.device)
    pairs = torch.stack((numbers.repeat(16), numbers.repeat_interleave(16)), dim=1)
    return pairs.view(torch.int32 if out.element_size() == 2 else torch.int64).flatten()
