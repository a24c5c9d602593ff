"""Which models the fast path takes."""

from collections.abc import Sequence
from typing import Any, Final

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.fused.layer import PROJECTIONS
from llmfinetune_trainer.model.targets import matches

FAMILIES: Final = ("llama", "mistral", "qwen2", "qwen3")
"""`model_type` of configurations whose layers have the shape that is computed here; SmolLM is a Llama."""


def supports(model_config: Any, lora_config: LoraConfig, *, max_length: int | None = None) -> str | None:
    """Why a model cannot take the fast path; `None` where it can.

    Args:
        model_config: transformers configuration.
        lora_config: the adapters.
        max_length: tokens of the longest document, where known; matters to sliding windows alone.
    """
    if model_config.model_type not in FAMILIES:
        return f"model type {model_config.model_type} is none of {', '.join(FAMILIES)}"
    reasons = (
        _unknown_targets(lora_config.target_modules, layers=model_config.num_hidden_layers),
        _activation(model_config),
        _window(model_config, max_length),
        _rotation(model_config),
        "dropout in attention" if model_config.attention_dropout else None,
    )
    return next((reason for reason in reasons if reason), None)


def _unknown_targets(targets: Sequence[str], *, layers: int) -> str | None:
    """However a target is spelled, it means layers by their full names."""
    blocks = [f"self_attn.{name}" for name in PROJECTIONS[:4]] + [f"mlp.{name}" for name in PROJECTIONS[4:]]
    names = [f"model.layers.{number}.{block}" for number in range(layers) for block in blocks]
    unknown = sorted(target for target in targets if not any(matches(name, target) for name in names))
    return f"adapters on {', '.join(unknown)}" if unknown else None


def _activation(config: Any) -> str | None:
    return None if config.hidden_act in ("silu", "swish") else f"activation {config.hidden_act}"


def _window(config: Any, max_length: int | None) -> str | None:
    """Every document shorter than the window sees all of itself anyway."""
    window = getattr(config, "sliding_window", None)
    if window is None or (max_length is not None and max_length <= window):
        return None
    return f"sliding window of {window} tokens"


def _rotation(config: Any) -> str | None:
    kind = (config.rope_parameters or {}).get("rope_type", "default")
    partial = (config.rope_parameters or {}).get("partial_rotary_factor", 1.0)
    if kind in ("dynamic", "longrope"):
        return f"rotary embedding of kind {kind}, whose angles depend on the longest sequence seen"
    return None if partial in (None, 1.0) else "rotary embedding of a part of each head"
