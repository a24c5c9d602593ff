"""A few layers of a model with made-up weights: what a whole model takes follows from them, at a small part
of its time and memory, and before its weights are there."""

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from transformers import AutoModelForCausalLM

from llmfinetune_trainer.model import attention

SMALL_VOCABULARY = 64
"""Words while the model is made: filling a large embedding with random numbers takes seconds."""
_WEIGHT = 0.02


def reduced_model(config: Any, *, layers: int, dtype: torch.dtype) -> Any:
    """The model of a transformers configuration, with its first layers and a few words only."""
    attention.register()
    few = copy.deepcopy(config)
    few.num_hidden_layers, few.vocab_size = layers, SMALL_VOCABULARY
    few.bos_token_id = few.eos_token_id = few.pad_token_id = None
    if layer_types := getattr(few, "layer_types", None):
        few.layer_types = layer_types[:layers]
    model = AutoModelForCausalLM.from_config(few, dtype=dtype, attn_implementation=attention.NAME)
    return model.requires_grad_(False).eval()


def words(config: Any, *, dtype: torch.dtype) -> Tensor:
    """An embedding of the whole vocabulary, for `widen`."""
    return torch.full((config.vocab_size, config.hidden_size), _WEIGHT, dtype=dtype)


def widen(model: Any, embedding: Tensor) -> None:
    """Gives a reduced model the whole vocabulary. Input and output share it, and models may too: what a
    product takes does not depend on what it holds."""
    weight = Parameter(embedding, requires_grad=False)
    model.get_input_embeddings().weight = model.get_output_embeddings().weight = weight
