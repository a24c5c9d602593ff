"""A few layers of a run's model with its adapters: what measurements compute."""

import torch
from peft import PeftModel
from torch import Tensor

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.estimate.shape import Shape
from llmfinetune_trainer.model.lora import Adapters, attach_adapters
from llmfinetune_trainer.model.reduced import reduced_model, widen


def adapted_layers(
    shape: Shape, lora: LoraConfig, *, layers: int, dtype: torch.dtype, embedding: Tensor | None = None
) -> tuple[PeftModel, Adapters, LoraConfig]:
    """The first layers with adapters as the run has them, and the method with its targets named.

    Args:
        shape: the whole model.
        lora: the method as configured.
        layers: how many layers.
        dtype: compute type.
        embedding: the whole vocabulary, [words, hidden]; a few words where absent.
    """
    model = reduced_model(shape.config, layers=layers, dtype=dtype, attention=shape.proof.attention)
    if embedding is not None:
        widen(model, embedding)
    named = lora.model_copy(update={"target_modules": list(shape.targets)})
    return *attach_adapters(model, named, seed=0), named
