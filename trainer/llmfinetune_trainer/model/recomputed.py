"""Layers that are computed again in the backward pass instead of keeping what they computed."""

from functools import partial
from typing import Any

from torch.nn import Module
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer


def layers_of(model: Any) -> list[Module]:
    """Layers of a causal model that transformers lets compute again; none where it does not."""
    if not model.supports_gradient_checkpointing:
        return []
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


def recompute_layers(model: Any) -> None:
    """Keeps of each layer its input alone. transformers' own switch works in training mode only, which would
    bring back the frozen model's dropout."""
    for layer in layers_of(model):
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
