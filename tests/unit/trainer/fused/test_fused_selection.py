"""Which kernels run, by what the processor has."""

import ctypes
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch

from llmfinetune_trainer.engine.fused import selection
from llmfinetune_trainer.engine.fused.native_kernels import NativeKernels
from llmfinetune_trainer.engine.fused.selection import choose_kernels

FULL = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 2}


class Processor(NamedTuple):
    """What it and the image have."""

    vectors: bool = True
    """bf16 products on 512-bit vectors."""
    matrix_unit: bool = False
    library: bool = True


@pytest.mark.parametrize(
    ("processor", "dtype", "shape", "expected"),
    [
        pytest.param(Processor(), torch.bfloat16, {}, "own products", id="vectors and no matrix unit"),
        pytest.param(
            Processor(matrix_unit=True), torch.bfloat16, {}, "torch's products", id="a matrix unit (AMX)"
        ),
        pytest.param(Processor(vectors=False), torch.bfloat16, {}, "torch", id="no bf16 vectors"),
        pytest.param(
            Processor(vectors=False, matrix_unit=True), torch.bfloat16, {}, "torch", id="a matrix unit alone"
        ),
        pytest.param(Processor(library=False), torch.bfloat16, {}, "torch", id="no library and no compiler"),
        pytest.param(Processor(), torch.float32, {}, "torch", id="32 bits"),
        pytest.param(
            Processor(), torch.bfloat16, {"hidden_size": 40}, "torch", id="a width that fills no register"
        ),
        pytest.param(
            Processor(), torch.bfloat16, {"head_dim": 24}, "torch", id="half a head that fills no register"
        ),
    ],
)
def test_kernels_by_processor_type_and_shape(
    processor: Processor,
    dtype: torch.dtype,
    shape: dict[str, int],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: processor.vectors)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: processor.matrix_unit)
    library = ctypes.CDLL(None) if processor.library else None
    monkeypatch.setattr(selection, "load_library", lambda: library)
    kernels = choose_kernels(dtype, SimpleNamespace(**{**FULL, **shape}))
    chosen = "torch"
    if isinstance(kernels, NativeKernels):
        chosen = "own products" if kernels.own_products else "torch's products"
    assert chosen == expected
