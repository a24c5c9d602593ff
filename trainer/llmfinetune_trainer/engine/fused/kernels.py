"""What a decoder layer computes. Two implementations give the same results to rounding:

`torch_kernels` in plain torch, for every type and processor, and `native_kernels` in C++ for bf16 on AVX-512.
Outputs are written into tensors that the caller owns; rows may lie further apart than they are long.
"""

from typing import NamedTuple, Protocol

from torch import Tensor


class Documents(NamedTuple):
    """Where documents lie in the rows of a micro-batch.

    With a prefix, document 0 is rows 0..prefix that all others see before their own rows.
    """

    starts: Tensor
    """[documents], 64-bit: first row."""
    lengths: Tensor
    """[documents], 64-bit: number of rows, the shared ones not counted."""
    prefix: int = 0


class Heads(NamedTuple):
    """Attention's shape: queries, keys and values lie side by side in one row of `qkv`."""

    num_query: int
    num_key: int
    size: int
    scale: float

    @property
    def query_columns(self) -> int:
        """Width of the queries, and of attention's output."""
        return self.num_query * self.size

    @property
    def key_columns(self) -> int:
        """Width of the keys, and of the values."""
        return self.num_key * self.size


class Rotary(NamedTuple):
    """Cosine and sine of every position's angles, [positions, size / 2] in 32 bits."""

    cosine: Tensor
    sine: Tensor


class Dropout(NamedTuple):
    """A dropout mask that is computed wherever it is needed: a hash of row and column keeps an entry."""

    probability: float
    seed: int
    """32 bits."""
    keys: Tensor
    """[rows], 64-bit: what the hash takes for the row."""

    @property
    def threshold(self) -> int:
        """Hashes below it drop their entry."""
        return min(int(self.probability * 2**32), 2**32 - 1)

    @property
    def scale(self) -> float:
        """Factor of what is kept."""
        return 1.0 / (1.0 - self.probability)


class Kernels(Protocol):
    """The operations, with x̂ = x / rms(x)."""

    name: str

    def product(self, a: Tensor, b: Tensor, *, out: Tensor, bias: Tensor | None = None) -> None:
        """out = a·b + bias; rows of `b` or of its transpose are contiguous."""

    def product_over_rows(self, a: Tensor, b: Tensor) -> Tensor:
        """aᵀ·b, where `a` has few columns."""

    def rms_norm(
        self,
        x: Tensor,
        weight: Tensor,
        *,
        eps: float,
        out: Tensor,
        delta: Tensor | None = None,
        total: Tensor | None = None,
    ) -> Tensor:
        """out = weight · x̂ of x, or of total = x + delta. Returns 1 / rms, [rows] in 32 bits."""

    def rms_norm_backward(
        self, upstream: Tensor, x: Tensor, weight: Tensor, *, rstd: Tensor, out: Tensor, accumulate: bool
    ) -> None:
        """out (+)= rstd · (w·g - x̂·mean(w·g·x̂))."""

    def rotate(
        self, x: Tensor, rotary: Rotary, positions: Tensor, *, size: int, backward: bool = False
    ) -> None:
        """Rotates all heads of x [rows, heads · size] in place, or back."""

    def swiglu(self, gate_up: Tensor, *, out: Tensor) -> None:
        """out = gate·sigmoid(gate)·up."""

    def swiglu_backward(self, upstream: Tensor, gate_up: Tensor, *, out: Tensor) -> None:
        """Gradient of gate and up side by side; `out` may be `gate_up` itself."""

    def dropout(self, x: Tensor, dropout: Dropout, *, out: Tensor, accumulate: bool = False) -> None:
        """out (+)= x · mask / (1 - p)."""

    def cross_entropy(self, logits: Tensor, targets: Tensor, *, gradient: bool) -> Tensor:
        """Loss of each row in 32 bits; with `gradient`, logits become softmax - onehot."""

    def attention(self, qkv: Tensor, documents: Documents, heads: Heads, *, out: Tensor) -> Tensor:
        """Causal attention within each document; returns what backward needs, [rows, heads] in 32 bits."""

    def attention_backward(
        self,
        upstream: Tensor,
        qkv: Tensor,
        statistics: Tensor,
        documents: Documents,
        heads: Heads,
        *,
        out: Tensor,
    ) -> None:
        """Gradient of queries, keys and values side by side."""
