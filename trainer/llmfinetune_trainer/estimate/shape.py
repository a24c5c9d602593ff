"""What memory and work are functions of: the model's structure, its adapters, and the engine's path."""

from typing import Any, NamedTuple

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.backend import Engine
from llmfinetune_trainer.engine.fused.flops import Weights
from llmfinetune_trainer.engine.proof import PROVEN, Proof
from llmfinetune_trainer.model.quantised import SCHEMES, Quantization
from llmfinetune_trainer.model.targets import layer_kinds, linear_layers, resolve_targets


class Shape(NamedTuple):
    """A model with adapters, as far as memory and work depend on it."""

    config: Any
    """transformers configuration."""
    engine: Engine
    item_bytes: int
    """Bytes of one number in the computation: 2 for bf16, 4 for 32 bits."""
    base_weights: int
    """Weights of the frozen model, shared ones once."""
    weights: Weights
    targets: tuple[str, ...]
    """Last names of the adapted layers."""
    rank: int
    has_dropout: bool
    largest_layer: int
    """Weights of the largest linear layer but the output layer."""
    quantization: Quantization | None = None
    saved_per_token: int = 0
    """Bytes that the general path keeps of one token for the backward pass, all layers together."""
    saved_by_layer: int = 0
    """Of them, those of one layer."""
    proof: Proof = PROVEN
    """What the general path may rely on."""

    @property
    def base_bytes(self) -> int:
        """The frozen model in memory, with room for the layer that is dequantised."""
        if self.quantization is None:
            return self.base_weights * self.item_bytes
        plain = self.base_weights - self.weights.layers + self.largest_layer
        return plain * self.item_bytes + int(self.weights.layers * SCHEMES[self.quantization].bits / 8)


def shape_of(
    model: Any,
    lora: LoraConfig,
    *,
    engine: Engine,
    item_bytes: int,
    quantization: Quantization | None = None,
) -> Shape:
    """The shape of a transformers model without adapters, with or without weights (meta device).

    Raises:
        RunError: a target matches no linear layer.
    """
    names = linear_layers(model)
    adapted = resolve_targets(names, lora.target_modules, others=layer_kinds(model))
    config = model.config.get_text_config()
    sizes = {name: model.get_submodule(name).weight.shape for name in names}
    return Shape(
        config=config,
        engine=engine,
        item_bytes=item_bytes,
        base_weights=sum(parameter.numel() for parameter in model.parameters()),
        weights=Weights(
            layers=sum(size.numel() for size in sizes.values()),
            head=model.get_output_embeddings().weight.numel(),
            adapters=lora.rank * sum(sum(sizes[name]) for name in adapted),
            attention=_attention_columns(config),
        ),
        targets=tuple(sorted({name.rpartition(".")[2] for name in adapted})),
        rank=lora.rank,
        has_dropout=lora.dropout > 0,
        largest_layer=max(size.numel() for size in sizes.values()),
        quantization=quantization,
    )


def _attention_columns(config: Any) -> int:
    heads = getattr(config, "num_attention_heads", None)
    if not heads:
        return 0
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    return int(heads * head * config.num_hidden_layers)
