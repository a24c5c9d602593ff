"""Loads a model with its linear layers quantised, one tensor at a time: the whole model is never in memory in
its full precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from llmfinetune_trainer.errors import user_error
from llmfinetune_trainer.model.quantised import QuantisedLinear, Quantization, Scratch
from llmfinetune_trainer.model.targets import linear_layers
from llmfinetune_trainer.model.tensors import place_of, places


def load_quantised(
    path: Path, *, quantization: Quantization, dtype: torch.dtype, attention: str | None
) -> PreTrainedModel:
    """Loads a causal language model; every linear layer but the output layer is quantised.

    Args:
        path: directory with `config.json` and safetensors weights.
        quantization: how linear layers are stored.
        dtype: type of everything else, and of the computation.
        attention: name in transformers' registry; `None` takes the model's own.

    Raises:
        RunError: the files name their weights otherwise than the model does.
    """
    config = AutoConfig.from_pretrained(path, local_files_only=True)
    with _parameters_without_memory():
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)
    there, linear, scratch = places(path), set(linear_layers(model)), Scratch()
    for name in [name for name, _ in model.named_parameters()]:
        place = place_of(there, name)
        if place is None:
            raise _not_supported(name, path)
        tensor = place.read(path).to(dtype)
        owner, _, leaf = name.rpartition(".")
        module = model.get_submodule(owner)
        if owner in linear and leaf == "weight":
            _quantise(model, owner, module, tensor, quantization=quantization, scratch=scratch)
        else:
            setattr(module, leaf, Parameter(tensor, requires_grad=False))
    model.tie_weights()
    return model


def _quantise(
    model: Any, name: str, module: Any, weight: Tensor, *, quantization: Quantization, scratch: Scratch
) -> None:
    """Puts a quantised layer in the place of a plain one."""
    is_conv1d = isinstance(module, Conv1D)
    quantised = QuantisedLinear(
        weight.t().contiguous() if is_conv1d else weight,
        module.bias,
        quantization=quantization,
        scratch=scratch,
        is_conv1d=is_conv1d,
    )
    model.set_submodule(name, quantised)


@contextmanager
def _parameters_without_memory() -> Iterator[None]:
    """Modules made meanwhile have real buffers, which no file holds, and parameters without storage."""
    register = Module.register_parameter

    def on_meta(module: Module, name: str, parameter: Parameter | None) -> None:
        if parameter is not None and not parameter.is_meta:  # one that is tied stays the same object
            parameter = Parameter(parameter.to("meta"), requires_grad=False)
        register(module, name, parameter)

    Module.register_parameter = on_meta  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Module.register_parameter = register  # type: ignore[method-assign]


def _not_supported(name: str, path: Path) -> Exception:
    return user_error(
        "QuantizationNotSupported",
        f"model.quantization: the files in {path} hold no weight {name}",
        hint="remove model.quantization, or save the model anew with transformers, whose names then agree",
    )
