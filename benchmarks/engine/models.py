"""Models of the shapes that are measured: weights from disk, or random ones, which are as fast."""

from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from llmfinetune_trainer.model.load import load_base

SHAPES: Final[dict[str, dict[str, int]]] = {
    "1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 128256,
    }
}
"""Shapes by name, with tied embeddings; `1b` is that of Llama 3.2 1B."""


def make_model(path: Path, *, shape: str | None, vocabulary: int | None) -> Any:
    """The model at `path`, frozen, in bf16.

    Args:
        path: directory with config.json; without model.safetensors the weights are random.
        shape: a key of `SHAPES`: random weights of that shape instead.
        vocabulary: another number of tokens than the configuration's: random weights too.
    """
    if shape is None and vocabulary is None and (path / "model.safetensors").exists():
        return load_base(path, dtype=torch.bfloat16)
    if shape is None:
        config = AutoConfig.from_pretrained(path, local_files_only=True)
    else:
        config = LlamaConfig(**SHAPES[shape], tie_word_embeddings=True)
    config.vocab_size = vocabulary or config.vocab_size
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).requires_grad_(False).eval()
