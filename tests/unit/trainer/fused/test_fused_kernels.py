"""The compiled kernels against plain torch, and plain torch's attention against torch's own."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from llmfinetune_trainer.engine.fused.kernels import Documents, Dropout, Heads, Kernels, Rotary
from llmfinetune_trainer.engine.fused.native.library import load_library
from llmfinetune_trainer.engine.fused.native_kernels import NativeKernels
from llmfinetune_trainer.engine.fused.selection import has_avx512_bf16
from llmfinetune_trainer.engine.fused.torch_kernels import TorchKernels, keep_mask

Operation = Callable[[Kernels], tuple[Tensor, ...]]


@pytest.fixture(scope="module")
def native() -> NativeKernels:
    library = load_library() if has_avx512_bf16() else None
    if library is None:
        pytest.skip("needs AVX-512 with bf16 and a C++ compiler")
    return NativeKernels(library, own_products=True)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def wide(rows: int, columns: int) -> Tensor:
    """Rows that lie further apart than they are long."""
    return torch.zeros(rows, columns + 8, dtype=torch.bfloat16)[:, :columns]


def product_of(rows: int, depth: int, columns: int) -> Operation:
    """A product with a matrix in either layout, and with a bias; outputs and left rows lie apart."""

    def product(kernels: Kernels) -> tuple[Tensor, ...]:
        left, right = wide(rows, depth), noise(depth, columns, seed=1)
        left.copy_(noise(rows, depth))
        plain, turned, biased = (wide(rows, columns) for _ in range(3))
        kernels.product(left, right, out=plain)
        kernels.product(left, right.t().contiguous().t(), out=turned)
        kernels.product(left, right, out=biased, bias=noise(columns, seed=2))
        return plain, turned, biased

    return product


def product_over_rows_of(rows: int, *, columns: int = 24) -> Operation:
    def product_over_rows(kernels: Kernels) -> tuple[Tensor, ...]:
        a, b = noise(rows, columns + 6), noise(rows, 100, seed=1)
        return (kernels.product_over_rows(a[:, 3 : columns + 3], b[:, :90]),)

    return product_over_rows


def rms_norm(kernels: Kernels) -> tuple[Tensor, ...]:
    out = wide(7, 48)
    return out, kernels.rms_norm(noise(7, 48), noise(48, seed=1), eps=1e-5, out=out)


def rms_norm_of_sum(kernels: Kernels) -> tuple[Tensor, ...]:
    out, total = wide(7, 48), torch.empty(7, 48, dtype=torch.bfloat16)
    delta = noise(7, 48, seed=2)
    rstd = kernels.rms_norm(noise(7, 48), noise(48, seed=1), eps=1e-5, out=out, delta=delta, total=total)
    return out, total, rstd


def rms_norm_backward(kernels: Kernels) -> tuple[Tensor, ...]:
    x, out = noise(7, 48), noise(7, 56, seed=3)[:, :48]
    rstd = x.float().square().mean(-1).rsqrt()
    upstream = noise(7, 48, seed=4)
    kernels.rms_norm_backward(upstream, x, noise(48, seed=1), rstd=rstd, out=out, accumulate=True)
    alone = wide(7, 48)
    kernels.rms_norm_backward(upstream, x, noise(48, seed=1), rstd=rstd, out=alone, accumulate=False)
    return out, alone


def rotate(kernels: Kernels) -> tuple[Tensor, ...]:
    angles = noise(9, 16, seed=5).float()
    x, back = noise(5, 96), noise(5, 96)
    rotary, positions = Rotary(angles.cos(), angles.sin()), torch.tensor([0, 3, 8, 1, 2])
    kernels.rotate(x, rotary, positions, size=32)
    kernels.rotate(back, rotary, positions, size=32, backward=True)
    return x, back


def swiglu(kernels: Kernels) -> tuple[Tensor, ...]:
    out, slope = wide(6, 32), wide(6, 64)
    kernels.swiglu(noise(6, 64) * 4, out=out)
    kernels.swiglu_backward(noise(6, 32, seed=1), noise(6, 64) * 4, out=slope)
    return out, slope


def swiglu_backward_in_place(kernels: Kernels) -> tuple[Tensor, ...]:
    gate_up = noise(6, 64)
    kernels.swiglu_backward(noise(6, 32, seed=1), gate_up, out=gate_up)
    return (gate_up,)


def dropout(kernels: Kernels) -> tuple[Tensor, ...]:
    mask = Dropout(0.4, seed=2**32 - 3, keys=torch.tensor([5, 0, 70000, 2]))
    out, added = wide(4, 64), noise(4, 64, seed=1)
    kernels.dropout(noise(4, 64), mask, out=out)
    kernels.dropout(noise(4, 64), mask, out=added, accumulate=True)
    return out, added


def cross_entropy(kernels: Kernels) -> tuple[Tensor, ...]:
    logits, targets = noise(6, 101) * 8, torch.tensor([0, 100, 50, 7, 96, 99])
    plain = kernels.cross_entropy(logits.clone(), targets, gradient=False)
    return plain, kernels.cross_entropy(logits, targets, gradient=True), logits


def attention_of(documents: Documents, heads: Heads) -> Operation:
    def attention(kernels: Kernels) -> tuple[Tensor, ...]:
        rows = int(documents.lengths.sum())
        qkv = noise(rows, heads.query_columns + 2 * heads.key_columns)
        out, slope = wide(rows, heads.query_columns), wide(rows, qkv.shape[1])
        statistics = kernels.attention(qkv, documents, heads, out=out)
        upstream = noise(rows, heads.query_columns, seed=1)
        kernels.attention_backward(upstream, qkv, statistics, documents, heads, out=slope)
        return out, slope

    return attention


def spans(*lengths: int, prefix: int = 0) -> Documents:
    sizes = torch.tensor(lengths)
    return Documents(sizes.cumsum(0) - sizes, sizes, prefix)


GROUPED, LONE = Heads(6, 2, 32, scale=0.2), Heads(3, 3, 96, scale=0.1)
OPERATIONS = {
    "product of full panels": product_of(96, 64, 128),
    "product whose sides fill no tile and no panel": product_of(53, 50, 111),
    "product deeper than a panel": product_of(61, 6500, 70),
    "product of more rows than a task has": product_of(2101, 48, 65),
    "product whose last panels fall into ranges of rows": product_of(401, 64, 320),
    "product deeper than a panel in ranges of rows": product_of(401, 6500, 130),
    "products of 8, 24 and 40 columns": lambda kernels: (
        *product_of(70, 64, 8)(kernels),
        *product_of(70, 64, 24)(kernels),
        *product_of(7, 64, 40)(kernels),
    ),
    "product over an even number of rows": product_over_rows_of(66),
    "product over an odd number of rows": product_over_rows_of(51),
    "product over one row": product_over_rows_of(1),
    "product over an odd number of rows, in pieces": product_over_rows_of(5, columns=400),
    "product of an odd depth": product_of(64, 51, 64),
    "norm": rms_norm,
    "norm of a sum": rms_norm_of_sum,
    "norm, backward": rms_norm_backward,
    "rotation": rotate,
    "gated activation": swiglu,
    "gated activation, backward in place": swiglu_backward_in_place,
    "dropout": dropout,
    "cross-entropy of a vocabulary that fills no register": cross_entropy,
    "attention of single tokens": attention_of(spans(1, 1), GROUPED),
    "attention of documents around a block's size": attention_of(spans(31, 32, 33, 65), GROUPED),
    "attention where every head has its keys": attention_of(spans(40, 3), LONE),
    "attention with a shared prefix": attention_of(spans(17, 5, 40, 1, prefix=17), GROUPED),
    "attention of a long document": attention_of(spans(300), GROUPED),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_compiled_kernels_compute_what_torch_computes(operation: Operation, native: NativeKernels) -> None:
    for compiled, expected in zip(operation(native), operation(TorchKernels()), strict=True):
        scale = float(expected.float().abs().max())
        torch.testing.assert_close(compiled.float(), expected.float(), rtol=2e-2, atol=1e-2 * scale)


@pytest.mark.parametrize("threads", [1, 2])
def test_gradients_of_a_shared_prefix_do_not_depend_on_threads(threads: int, native: NativeKernels) -> None:
    operation = attention_of(spans(17, 50, 40, 31, prefix=17), GROUPED)
    expected = operation(native)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for one, other in zip(operation(native), expected, strict=True):
            assert torch.equal(one, other)
    finally:
        torch.set_num_threads(before)


def test_attention_of_plain_torch_is_torch_s_own_with_autograd() -> None:
    heads, documents = Heads(4, 2, 8, scale=0.3), spans(6, 4, 5, prefix=6)
    qkv = noise(15, 64).float().requires_grad_()
    parts = []
    for start, length in ((0, 6), (6, 4), (10, 5)):
        rows = torch.arange(start, start + length)
        seen = torch.cat((torch.arange(6), rows)) if start else rows
        query = qkv[rows, :32].view(length, 4, 8).transpose(0, 1)
        key, value = (qkv[seen, at : at + 16].view(-1, 2, 8).transpose(0, 1) for at in (32, 48))
        mask = torch.ones(length, len(seen), dtype=torch.bool).tril(len(seen) - length)
        mixed = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=0.3, enable_gqa=True
        )
        parts.append(mixed.transpose(0, 1).flatten(1))
    expected, upstream = torch.cat(parts), noise(15, 32, seed=1).float()
    expected.backward(upstream)
    out, slope = torch.empty(15, 32), torch.empty(15, 64)
    with torch.no_grad():
        statistics = TorchKernels().attention(qkv, documents, heads, out=out)
        TorchKernels().attention_backward(upstream, qkv, statistics, documents, heads, out=slope)
    torch.testing.assert_close(out, expected.detach())
    torch.testing.assert_close(slope, qkv.grad)


def test_a_dropout_mask_is_a_function_of_seed_row_and_column() -> None:
    keys = torch.arange(400)
    mask = keep_mask(Dropout(0.25, seed=7, keys=keys), 64)
    assert float(mask.float().mean()) == pytest.approx(0.75, abs=0.01)
    assert torch.equal(keep_mask(Dropout(0.25, seed=7, keys=keys[100:]), 64), mask[100:])
    other = keep_mask(Dropout(0.25, seed=8, keys=keys), 64)
    agreement = float((mask == other).float().mean())
    assert agreement == pytest.approx(0.75**2 + 0.25**2, abs=0.02)
