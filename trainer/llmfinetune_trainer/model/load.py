"""Loads the frozen base model from the volume, in the precision of the computation."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from llmfinetune_trainer.engine.loss import Head
from llmfinetune_trainer.errors import model_access_error
from llmfinetune_trainer.model import attention as packed
from llmfinetune_trainer.model.quantised import Quantization
from llmfinetune_trainer.model.stream import load_quantised

NAMED: Final = 5
"""How many of the missing weights a message names."""


def load_base(
    path: Path,
    *,
    dtype: torch.dtype,
    device: str = "cpu",
    quantization: Quantization | None = None,
    attention: str | None = packed.NAME,
) -> PreTrainedModel:
    """Loads a causal language model for training, and freezes it.

    Args:
        path: directory with `config.json` and safetensors weights.
        dtype: type of the weights and of the computation.
        device: where the weights go, in torch's words.
        quantization: how linear layers are stored; `None` stores them in `dtype`.
        attention: name in transformers' registry; `None` takes the model's own.

    Raises:
        RunError: the files lack some of its weights.
    """
    packed.register()
    transformers_logging.disable_progress_bar()
    model: PreTrainedModel
    if quantization is None:
        loaded = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype,
            attn_implementation=attention,
            local_files_only=True,
            output_loading_info=True,
        )
        model = whole(loaded, path)
    else:
        model = load_quantised(path, quantization=quantization, dtype=dtype, attention=attention)
    # Only the adapters learn, and the dropout of a frozen base would be noise that no result depends on.
    return model.requires_grad_(False).eval().to(device)


def whole(loaded: tuple[Any, Mapping[str, Any]], path: Path) -> Any:
    """The model that `from_pretrained` loaded, if its files hold all of it: transformers makes up weights
    that are missing, and only logs it.

    Args:
        loaded: the model with its `output_loading_info`.
        path: what it was loaded from.

    Raises:
        RunError: naming the weights that are missing.
    """
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise model_access_error(
            "WeightsMissing",
            f"{path} lacks weights of its model: {', '.join(missing[:NAMED])}{more}",
            hint="fetch or save the model anew: its files must hold every weight that config.json asks for",
        )
    return model


def head_of(model: PreTrainedModel) -> Head:
    """The model's output layer, with what the architecture does to its logits."""
    layer = model.get_output_embeddings()
    return Head(
        weight=layer.weight, bias=getattr(layer, "bias", None), transform=_logit_transform(model.config)
    )


def _logit_transform(config: Any) -> Callable[[Tensor], Tensor] | None:
    """What a configuration does to logits: a soft cap (Gemma), a factor (Cohere), a divisor (Granite)."""
    if cap := getattr(config, "final_logit_softcapping", None):
        return lambda logits: torch.tanh(logits / cap) * cap
    if (factor := getattr(config, "logit_scale", None)) is not None:
        return lambda logits: logits * factor
    if (divisor := getattr(config, "logits_scaling", None)) is not None:
        return lambda logits: logits / divisor
    return None
