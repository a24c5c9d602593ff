"""The layer's operations through the compiled library, on bf16 tensors with neighbouring columns."""

import ctypes

import torch
from torch import Tensor

from llmfinetune_trainer.engine.fused.kernels import Documents, Dropout, Heads, Rotary
from llmfinetune_trainer.engine.fused.torch_kernels import torch_product

LANES = 16
"""Numbers in a vector register: widths are multiples of it, head sizes of twice it."""


class NativeKernels:
    """See `Kernels`.

    Args:
        library: the compiled kernels.
        own_products: whether its matrix products are used, which are for vectors: the better choice where
        the processor has no matrix unit.
    """

    name = "native"

    def __init__(self, library: ctypes.CDLL, *, own_products: bool) -> None:
        self._library = library
        self.own_products = own_products

    def product(self, a: Tensor, b: Tensor, *, out: Tensor, bias: Tensor | None = None) -> None:
        """See `Kernels`."""
        if not (self.own_products and is_ours(a, b)):
            torch_product(a, b, out=out, bias=bias)
            return
        self._multiply(a, b, out=out, bias=bias)

    def product_over_rows(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Kernels`."""
        if not (self.own_products and b.stride(1) == 1):
            return torch.mm(a.t(), b)
        rows, columns = a.shape
        turned = a.new_zeros(columns, rows + rows % 2)
        turned[:, :rows] = a.t()
        out = a.new_empty(columns, b.shape[1])
        self._multiply(turned, b, out=out, bias=None)
        return out

    def _multiply(self, a: Tensor, b: Tensor, *, out: Tensor, bias: Tensor | None) -> None:
        transposed = b.stride(1) != 1
        self._library.matmul(
            *_matrix(a),
            b.data_ptr(),
            b.stride(1 if transposed else 0),
            transposed,
            None if bias is None else bias.data_ptr(),
            *_matrix(out),
            *out.shape,
            len(b),
        )

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
        """See `Kernels`."""
        rows, size = x.shape
        rstd = torch.empty(rows)
        self._library.rms_norm(
            *_matrix(x),
            None if delta is None else delta.data_ptr(),
            weight.data_ptr(),
            None if total is None else total.data_ptr(),
            *_matrix(out),
            rstd.data_ptr(),
            rows,
            size,
            eps,
        )
        return rstd

    def rms_norm_backward(
        self, upstream: Tensor, x: Tensor, weight: Tensor, *, rstd: Tensor, out: Tensor, accumulate: bool
    ) -> None:
        """See `Kernels`."""
        self._library.rms_norm_backward(
            *_matrix(upstream),
            *_matrix(x),
            weight.data_ptr(),
            rstd.data_ptr(),
            *_matrix(out),
            *x.shape,
            accumulate,
        )

    def rotate(
        self, x: Tensor, rotary: Rotary, positions: Tensor, *, size: int, backward: bool = False
    ) -> None:
        """See `Kernels`."""
        rows, columns = x.shape
        tables = (positions.data_ptr(), rotary.cosine.data_ptr(), rotary.sine.data_ptr())
        self._library.rotate(*_matrix(x), columns // size, size, *tables, rows, -1.0 if backward else 1.0)

    def swiglu(self, gate_up: Tensor, *, out: Tensor) -> None:
        """See `Kernels`."""
        self._library.swiglu(*_matrix(gate_up), *_matrix(out), *out.shape)

    def swiglu_backward(self, upstream: Tensor, gate_up: Tensor, *, out: Tensor) -> None:
        """See `Kernels`."""
        self._library.swiglu_backward(*_matrix(upstream), *_matrix(gate_up), *_matrix(out), *upstream.shape)

    def dropout(self, x: Tensor, dropout: Dropout, *, out: Tensor, accumulate: bool = False) -> None:
        """See `Kernels`."""
        mask = (dropout.seed, dropout.threshold, dropout.scale)
        self._library.dropout(
            *_matrix(x), *_matrix(out), dropout.keys.data_ptr(), *x.shape, *mask, accumulate
        )

    def cross_entropy(self, logits: Tensor, targets: Tensor, *, gradient: bool) -> Tensor:
        """See `Kernels`."""
        losses = torch.empty(len(targets))
        self._library.cross_entropy(
            *_matrix(logits), targets.data_ptr(), losses.data_ptr(), *logits.shape, gradient
        )
        return losses

    def attention(self, qkv: Tensor, documents: Documents, heads: Heads, *, out: Tensor) -> Tensor:
        """See `Kernels`."""
        norms = torch.empty(len(qkv), heads.num_query)
        where = _layout(documents, heads)
        self._library.attention(*_matrix(qkv), *where, *_matrix(out), norms.data_ptr())
        return norms

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
        """See `Kernels`."""
        shared = torch.empty(len(documents.starts), 2, documents.prefix, heads.key_columns)
        self._library.attention_backward(
            *_matrix(qkv),
            *_matrix(upstream),
            statistics.data_ptr(),
            *_layout(documents, heads),
            shared.data_ptr(),
            *_matrix(out),
        )


def is_ours(a: Tensor, b: Tensor) -> bool:
    """Whether the library's product takes these: neighbours along the depth come in pairs."""
    return a.stride(1) == 1 and 1 in b.stride() and a.shape[1] % 2 == 0


def _matrix(x: Tensor) -> tuple[int, int]:
    return x.data_ptr(), x.stride(0)


def _layout(documents: Documents, heads: Heads) -> tuple[int | float, ...]:
    spans = (
        documents.starts.data_ptr(),
        documents.lengths.data_ptr(),
        len(documents.starts),
        documents.prefix,
    )
    return (*spans, *heads)
