"""Intel's extension for PyTorch: the layout of frozen layers that it multiplies fastest.

It is no longer developed, and importing it replaces operators of the whole process: nothing imports it but
what was asked to use it.
"""

import importlib.util
from typing import Any, Final

import torch
from peft import PeftModel

from llmfinetune_trainer.imports import imported

MODULE: Final = "intel_extension_for_pytorch"


def is_installed() -> bool:
    """Whether the extension can be imported."""
    return importlib.util.find_spec(MODULE) is not None


def prepack_frozen_layers(model: PeftModel, *, dtype: torch.dtype) -> None:
    """Puts the decoder's frozen linear layers into the layout that Intel's extension multiplies fastest.

    Adapters change every step and the output layer's weight is read by the loss, so both stay as they are.
    """
    ipex = imported(MODULE, field="runtime.backend: ipex")
    decoder = model.get_base_model().base_model
    for parent in list(decoder.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is torch.nn.Linear and not layer.weight.requires_grad:
                setattr(parent, name, _prepacked(ipex, layer, dtype))


def _prepacked(ipex: Any, layer: torch.nn.Linear, dtype: torch.dtype) -> torch.nn.Module:
    """One layer, prepacked in training mode: outside of it the extension cuts the gradient off."""
    holder = torch.nn.Sequential(layer).train()
    # the extension insists on an optimizer; folding normalisations would trace the module into another one
    unused = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.0)
    prepacked, _ = ipex.optimize(
        holder,
        optimizer=unused,
        dtype=dtype,
        inplace=True,
        conv_bn_folding=False,
        linear_bn_folding=False,
        weights_prepack=True,
        auto_kernel_selection=True,
        split_master_weight_for_bf16=False,
        fuse_update_step=False,
    )
    module: torch.nn.Module = prepacked[0]
    return module
