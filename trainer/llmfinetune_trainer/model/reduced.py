"""A few layers of a model with made-up weights: what a whole model takes follows from them, at a small part
of its time and memory, and before its weights are there."""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, ModuleList, Parameter
from transformers import AutoModelForCausalLM

from llmfinetune_trainer.model import attention as packed

SMALL_VOCABULARY = 64
"""Words while the model is made: filling a large embedding with random numbers takes seconds."""
_WEIGHT = 0.02
_FEWEST, _MOST = 2, 12
"""Layers that every kind of module is looked for in."""
_WINDOW = 3
"""Tokens that layers with a window see where kinds are tried: so few that short documents fill it."""
_WINDOWS = ("sliding_window", "attention_chunk_size", "local_attention")
_MANY = 8
"""Experts are all alike."""
_EXPERTS = ("num_local_experts", "num_experts")


def reduced_model(
    config: Any, *, layers: int, dtype: torch.dtype, attention: str | None = packed.NAME
) -> Any:
    """The model of a transformers configuration, with its first layers and a few words only.

    Args:
        config: of the whole model.
        layers: how many layers.
        dtype: type of the weights.
        attention: name in transformers' registry; `None` takes the model's own.
    """
    packed.register()
    few = copy.deepcopy(config)
    text = few.get_text_config()
    for name, value in list(vars(text).items()):
        if isinstance(value, list | tuple) and len(value) == text.num_hidden_layers:
            setattr(text, name, value[:layers])  # one entry for each layer
    text.num_hidden_layers, text.vocab_size = layers, SMALL_VOCABULARY
    text.bos_token_id = text.eos_token_id = text.pad_token_id = 0
    model = AutoModelForCausalLM.from_config(few, dtype=dtype, attn_implementation=attention)
    return model.requires_grad_(False).eval()


def every_kind(skeleton: Any) -> Any:
    """A model of a few layers that has every kind of module of the whole one, with its own attention, short
    windows and random weights, none of them alike: zeros would hide what depends on what.

    Args:
        skeleton: the whole model, without weights.

    Raises:
        ValueError: the first layers do not have all of them.
    """
    config = copy.deepcopy(skeleton.config)
    text = config.get_text_config()
    for names, most in ((_WINDOWS, _WINDOW), (_EXPERTS, _MANY)):
        for name in names:
            if (getattr(text, name, None) or 0) > most:
                setattr(text, name, most)
    model = reduced_model(config, layers=_layers_with_all(skeleton), dtype=torch.float32, attention=None)
    if missing := _kinds(skeleton) - _kinds(model):
        raise ValueError(f"the first layers have no {min(kind.__name__ for kind in missing)}")
    for parameter in model.parameters():
        if (parameter == parameter.flatten()[0]).all():
            parameter.add_(torch.randn_like(parameter), alpha=_WEIGHT)
    return model


def _layers_with_all(skeleton: Any) -> int:
    """How many of the first layers have every kind."""
    config = skeleton.config.get_text_config()
    count = int(config.num_hidden_layers)
    first: dict[Any, int] = {}
    for number, kind in enumerate(getattr(config, "layer_types", None) or ()):
        first.setdefault(kind, number)
    for number, layer in enumerate(_layers(skeleton, count)):
        for module in layer.modules():
            first.setdefault(type(module), number)
    layers = 1 + max(first.values(), default=0)
    if layers > _MOST:
        raise ValueError(f"its first {layers} layers are needed to have every kind")
    return min(count, max(_FEWEST, layers))


def _layers(model: Any, count: int) -> Iterable[Module]:
    stacks = (module for module in model.modules() if isinstance(module, ModuleList) and len(module) == count)
    return next(stacks, ModuleList())


def _kinds(model: Any) -> set[type[Module]]:
    return {type(module) for module in model.modules()}


def words(config: Any, *, dtype: torch.dtype) -> Tensor:
    """An embedding of the whole vocabulary, for `widen`."""
    return torch.full((config.vocab_size, config.hidden_size), _WEIGHT, dtype=dtype)


def widen(model: Any, embedding: Tensor) -> None:
    """Gives a reduced model the whole vocabulary. Input and output share it, and models may too: what a
    product takes does not depend on what it holds."""
    weight = Parameter(embedding, requires_grad=False)
    model.get_input_embeddings().weight = model.get_output_embeddings().weight = weight
