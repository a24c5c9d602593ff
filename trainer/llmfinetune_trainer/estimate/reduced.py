"""A few layers of a model with made-up weights: what a whole model takes follows from them, at a small part
of its time and memory, and before its weights are there."""

import copy
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM

from llmfinetune_trainer.model import attention

_SMALL_VOCABULARY = 64
"""Words while the model is made: filling a large embedding with random numbers takes seconds."""
_WEIGHT = 0.02


def reduced_model(config: Any, *, layers: int, dtype: torch.dtype) -> Any:
    """The model of a transformers configuration, with its first layers only and its whole vocabulary."""
    attention.register()
    few = copy.deepcopy(config)
    vocabulary = few.vocab_size
    few.num_hidden_layers, few.vocab_size = layers, _SMALL_VOCABULARY
    few.bos_token_id = few.eos_token_id = few.pad_token_id = None
    if layer_types := getattr(few, "layer_types", None):
        few.layer_types = layer_types[:layers]
    model = AutoModelForCausalLM.from_config(few, dtype=dtype, attn_implementation=attention.NAME)
    _widen(model, vocabulary, dtype)
    return model.requires_grad_(False).eval()


def _widen(model: Any, vocabulary: int, dtype: torch.dtype) -> None:
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    is_tied = head.weight is embedding.weight
    for layer in (embedding, head):
        layer.weight = nn.Parameter(torch.full((vocabulary, layer.weight.shape[1]), _WEIGHT, dtype=dtype))
    if is_tied:
        head.weight = embedding.weight
