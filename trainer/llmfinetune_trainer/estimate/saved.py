"""What autograd keeps of a forward pass, counted while it does: no formula holds for every architecture."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.batches import MicroBatch
from llmfinetune_trainer.engine.gradients import GeneralGradients
from llmfinetune_trainer.estimate.few_layers import adapted_layers
from llmfinetune_trainer.estimate.shape import Shape

TOKENS = 128
FEW = 2


class Saved(NamedTuple):
    """Bytes that the general path keeps of a token."""

    in_all: int
    """All layers together."""
    by_layer: int


def saved_per_token(shape: Shape, lora: LoraConfig, *, dtype: torch.dtype) -> Saved:
    """What the general path keeps of a token, from what two and three layers keep."""
    few, more = (_saved_by(shape, lora, layers, dtype=dtype) for layers in (FEW, FEW + 1))
    layers = int(shape.config.num_hidden_layers)
    return Saved((few + (layers - FEW) * (more - few)) // TOKENS, (more - few) // TOKENS)


def saved_bytes(forward: Callable[[], Any], *, weights: Iterable[Tensor]) -> int:
    """Bytes of all tensors that one call of `forward` keeps for its backward pass, without `weights`."""
    known = {weight.untyped_storage().data_ptr() for weight in weights}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward()
    return sum(kept.values())


def _saved_by(shape: Shape, lora: LoraConfig, layers: int, *, dtype: torch.dtype) -> int:
    peft_model, adapters, _ = adapted_layers(shape, lora, layers=layers, dtype=dtype)
    computer = GeneralGradients(peft_model, adapters, proof=shape.proof)
    batch = one_document(TOKENS)
    return saved_bytes(lambda: computer.loss(batch, dropout_seed=0), weights=peft_model.parameters())


def one_document(tokens: int) -> MicroBatch:
    """A micro-batch of one document, its last token supervised."""
    last = torch.tensor([tokens - 2])
    return MicroBatch(
        samples=(0,),
        input_ids=torch.zeros(1, tokens, dtype=torch.int64),
        position_ids=torch.arange(tokens).unsqueeze(0),
        document_groups=((1, tokens),),
        rows=last,
        targets=torch.zeros(1, dtype=torch.int64),
    )
