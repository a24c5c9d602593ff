"""The frozen parts of one decoder layer, and what all layers share in one pass."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from llmfinetune_trainer.engine.fused.kernels import Dropout, Heads, Kernels, Rotary
from llmfinetune_trainer.engine.fused.linear import FusedLinear, Masks
from llmfinetune_trainer.engine.fused.prefix import Rows
from llmfinetune_trainer.engine.fused.space import Space
from llmfinetune_trainer.model.mapped import release_weight_files

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""A layer's linear layers, in the order of their numbers."""


class Layer(NamedTuple):
    """One decoder layer: x' = x + o(attention(norm(x))), x'' = x' + down(swiglu(gate_up(norm(x'))))."""

    number: int
    input_norm: Tensor
    qkv: FusedLinear
    query_norm: Tensor | None
    """[head size], where the family normalises queries and keys (Qwen3)."""
    key_norm: Tensor | None
    output: FusedLinear
    middle_norm: Tensor
    gate_up: FusedLinear
    down: FusedLinear

    @property
    def has_attention_adapters(self) -> bool:
        """Whether anything at or below attention's output learns."""
        return bool(self.qkv.rank or self.output.rank)

    @property
    def has_adapters(self) -> bool:
        """Whether anything in the layer learns."""
        return bool(self.has_attention_adapters or self.gate_up.rank or self.down.rank)


class Pass(NamedTuple):
    """What all layers share in one pass over a micro-batch."""

    rows: Rows
    heads: Heads
    rotary: Rotary
    eps: float
    kernels: Kernels
    space: Space
    dropout_seed: int | None
    dropout: float
    weight: float
    """Factor of the gradients."""

    def masks(self, linear: FusedLinear, kept: Tensor | None = None) -> Masks:
        """Masks of the adapters of `linear`.

        Args:
            linear: the stacked layers.
            kept: which rows of the micro-batch its input holds; all where absent.
        """
        if self.dropout_seed is None or not self.dropout:
            return Masks({}, self.kernels, self.space)
        keys = self.rows.keys if kept is None else self.rows.keys[kept]
        seeds = {
            adapter.identity: mask_seed(self.dropout_seed, adapter.identity) for adapter in linear.adapters
        }
        dropouts = {identity: Dropout(self.dropout, seed, keys) for identity, seed in seeds.items()}
        return Masks(dropouts, self.kernels, self.space)


def mask_seed(seed: int, identity: int) -> int:
    """Seed of one adapter's mask: 32 bits that differ in many places between neighbours."""
    return ((seed & 0xFFFFFFFF) ^ (seed >> 32) ^ (identity * 0x85EBCA6B)) & 0xFFFFFFFF


def build_layer(number: int, module: Any, gradients: Mapping[int, Tensor]) -> Layer:
    """Takes a transformers decoder layer over: its weights become views of the fused matrices."""
    attention, mlp = module.self_attn, module.mlp
    first = number * len(PROJECTIONS)
    layer = Layer(
        number=number,
        input_norm=module.input_layernorm.weight.detach(),
        qkv=FusedLinear(
            (attention.q_proj, attention.k_proj, attention.v_proj), gradients, first_identity=first
        ),
        query_norm=_norm_weight(attention, "q_norm"),
        key_norm=_norm_weight(attention, "k_norm"),
        output=FusedLinear((attention.o_proj,), gradients, first_identity=first + 3),
        middle_norm=module.post_attention_layernorm.weight.detach(),
        gate_up=FusedLinear((mlp.gate_proj, mlp.up_proj), gradients, first_identity=first + 4),
        down=FusedLinear((mlp.down_proj,), gradients, first_identity=first + 6),
    )
    release_weight_files()  # layer by layer, so that the model is never in memory twice
    return layer


def _norm_weight(attention: Any, name: str) -> Tensor | None:
    norm = getattr(attention, name, None)  # only some families have it
    return None if norm is None else norm.weight.detach()
