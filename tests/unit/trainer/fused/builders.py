"""Tiny real models, micro-batches, and the reference: transformers, peft and autograd on single documents."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from llmfinetune_trainer.engine.batches import MicroBatch
from llmfinetune_trainer.engine.fused.kernels import Dropout
from llmfinetune_trainer.engine.fused.layer import PROJECTIONS, mask_seed
from llmfinetune_trainer.engine.fused.torch_kernels import keep_mask
from llmfinetune_trainer.model.lora import Adapters

VOCABULARY = 101
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
}
FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "llama": {"model_type": "llama"},
    "llama, tied, biases everywhere": {
        "model_type": "llama",
        "tie_word_embeddings": True,
        "attention_bias": True,
        "mlp_bias": True,
    },
    "llama 3 rotation, every head its own keys": {
        "model_type": "llama",
        "num_key_value_heads": 4,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    },
    "mistral": {"model_type": "mistral", "sliding_window": None},
    "qwen2, biases of q, k and v": {"model_type": "qwen2"},
    "qwen3, normalised queries and keys": {"model_type": "qwen3", "tie_word_embeddings": True},
}
TARGETS: Mapping[str, Sequence[str]] = {
    "q and v": ("q_proj", "v_proj"),
    "all linear": PROJECTIONS,
    "down alone": ("down_proj",),
    "o and gate": ("o_proj", "gate_proj"),
}


class Subject(NamedTuple):
    """A model with its adapters' flat state."""

    model: PeftModel
    adapters: Adapters


def subject(
    family: str = "llama",
    targets: Sequence[str] = PROJECTIONS,
    *,
    dropout: float = 0.0,
    dtype: torch.dtype = torch.float32,
    layers: Sequence[int] | None = None,
    **shape: Any,
) -> Subject:
    """A tiny model with random weights, norms, biases and adapters, none of them zero."""
    values = {**SHAPE, **FAMILIES[family], **shape}
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_config(AutoConfig.for_model(**values))
    for parameter in base.parameters():
        if parameter.dim() == 1:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return adapted(base.to(dtype), targets, dropout=dropout, layers=layers)


def adapted(
    base: Any, targets: Sequence[str], *, dropout: float = 0.0, layers: Sequence[int] | None = None
) -> Subject:
    """The model with random adapters whose masters are what its layers can hold."""
    config = LoraConfig(
        r=4, lora_alpha=8, lora_dropout=dropout, target_modules=list(targets), layers_to_transform=layers
    )
    model = get_peft_model(base, config, autocast_adapter_dtype=False)
    parameters = {name.replace(".default", ""): p for name, p in model.named_parameters() if p.requires_grad}
    adapters = Adapters(parameters)
    torch.manual_seed(1)
    adapters.master.copy_((torch.randn_like(adapters.master) * 0.2).bfloat16())
    adapters.publish()
    return Subject(model, adapters)


def twin(original: Subject) -> Subject:
    """An independent copy in 32 bits."""
    model = copy.deepcopy(original.model).float()
    parameters = {name.replace(".default", ""): p for name, p in model.named_parameters() if p.requires_grad}
    adapters = Adapters(parameters)
    adapters.master.copy_(original.adapters.master)
    adapters.publish()
    return Subject(model, adapters)


def documents(*lengths: int, prefix: int = 0, seed: int = 0, vocabulary: int = VOCABULARY) -> list[Tensor]:
    """Random documents that begin with the same `prefix` tokens."""
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randint(vocabulary, (length,), generator=generator) for length in lengths]
    for document in made:
        document[:prefix] = made[0][:prefix]
    return made


def packed(tokens: Sequence[Tensor], *, prompt: int = 0) -> MicroBatch:
    """One sequence of documents, loss on everything after `prompt` tokens of each."""
    ids = torch.cat(list(tokens))
    ends = torch.tensor([len(document) for document in tokens]).cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    first = max(prompt - 1, 0)
    rows = torch.cat(
        [torch.arange(min(start + first, end - 1), end - 1) for start, end in zip(starts, ends, strict=True)]
    )
    return MicroBatch(
        samples=tuple(range(len(tokens))),
        input_ids=ids.unsqueeze(0),
        position_ids=torch.cat([torch.arange(len(document)) for document in tokens]).unsqueeze(0),
        document_groups=tuple((1, len(document)) for document in tokens),
        rows=rows,
        targets=ids[rows + 1],
    )


def reference(original: Subject, tokens: Sequence[Tensor], *, prompt: int = 0) -> tuple[float, Tensor]:
    """Loss and flat gradient by autograd in 32 bits, each document in a forward pass of its own."""
    model, adapters = twin(original)
    model.eval()
    total = 0.0
    for document in tokens:
        labels = document.clone()
        labels[: max(prompt, 1)] = -100
        logits = model(input_ids=document.unsqueeze(0), use_cache=False).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, labels[1:], ignore_index=-100, reduction="sum")
        loss.backward()
        adapters.collect_gradients()
        total += loss.item()
    return total, adapters.gradient.clone()


class MaskedDropout(torch.nn.Module):
    """Stands in peft's layers for dropout, with the mask that the engine uses."""

    def __init__(self, dropout: Dropout) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        return x * keep_mask(self.dropout, x.shape[-1]) * self.dropout.scale


def with_masks(original: Subject, *, seed: int, probability: float, keys: Tensor) -> Subject:
    """A copy whose adapters drop what the engine drops for rows `keys`."""
    copied = twin(original)
    for name, module in copied.model.named_modules():
        if hasattr(module, "lora_dropout"):
            parts = name.split(".")
            identity = int(parts[parts.index("layers") + 1]) * len(PROJECTIONS) + PROJECTIONS.index(parts[-1])
            mask = Dropout(probability, mask_seed(seed, identity), keys)
            module.lora_dropout["default"] = MaskedDropout(mask)
    return copied
