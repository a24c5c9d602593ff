"""Which kernels run: the compiled ones where type, processor and shape allow, plain torch elsewhere."""

from typing import Any

import torch

from llmfinetune_trainer.engine.fused.kernels import Kernels
from llmfinetune_trainer.engine.fused.native.library import load_library
from llmfinetune_trainer.engine.fused.native_kernels import LANES, NativeKernels
from llmfinetune_trainer.engine.fused.torch_kernels import TorchKernels


def choose_kernels(dtype: torch.dtype, config: Any) -> Kernels:
    """Chooses for a transformers configuration; compiles once where the image does not carry the library."""
    library = load_library() if dtype == torch.bfloat16 and has_avx512_bf16() and fits(config) else None
    if library is None:
        return TorchKernels()
    return NativeKernels(library, own_products=not torch.cpu._is_amx_tile_supported())


def fits(config: Any) -> bool:
    """Whether every width fills whole vector registers."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    widths = (config.hidden_size, config.intermediate_size, head // 2)
    return all(width % LANES == 0 for width in widths)


def has_avx512_bf16() -> bool:
    """Whether this processor has bf16 dot products on 512-bit vectors."""
    return bool(torch.cpu._is_avx512_bf16_supported())
