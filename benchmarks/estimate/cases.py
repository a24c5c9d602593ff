"""The fine-tunes whose estimates are held against what they take: two adapters of a small model, a large
vocabulary, and an architecture of the general path."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from transformers import AutoConfig

from benchmarks.models import smollm2, written


class Case(NamedTuple):
    """One fine-tune."""

    shape: Mapping[str, Any] | None
    """transformers configuration of a model with random weights; None for SmolLM2."""
    rank: int
    targets: Sequence[str]
    batch_size: int


CASES: Mapping[str, Case] = {
    "SmolLM2-135M, r=8 on q and v": Case(None, 8, ("q_proj", "v_proj"), 16),
    "SmolLM2-135M, r=16 on all linear layers": Case(None, 16, ("all-linear",), 16),
    "Qwen2-shaped, 360M, vocabulary 131072, r=8 on all linear layers": Case(
        {
            "model_type": "qwen2",
            "vocab_size": 131_072,
            "hidden_size": 1024,
            "intermediate_size": 2816,
            "num_hidden_layers": 20,
            "num_attention_heads": 16,
            "num_key_value_heads": 4,
            "max_position_embeddings": 2048,
            "tie_word_embeddings": True,
        },
        8,
        ("all-linear",),
        8,
    ),
    "GPT-2-shaped, 124M, general path, r=8 on c_attn": Case({"model_type": "gpt2"}, 8, ("c_attn",), 16),
}


def model_of(case: Case, name: str, directory: Path) -> Path:
    """The model's directory below `directory`, made if it is not there."""
    small = smollm2(directory)
    if case.shape is None:
        return small
    target = directory / "".join(letter if letter.isalnum() else "-" for letter in name)
    return written(AutoConfig.for_model(**case.shape), target, tokenizer=small)


def manifest_of(case: Case, *, model: Path, data: Path, steps: int) -> dict[str, Any]:
    """The fine-tune as the command line takes it."""
    return {
        "apiVersion": "llmfinetune.dev/v1alpha1",
        "kind": "LLMFineTune",
        "metadata": {"name": "estimated"},
        "spec": {
            "model": {"source": str(model.absolute())},
            "dataset": {"source": str(data), "format": "alpaca", "validationSplit": 0.001},
            "method": {"lora": {"rank": case.rank, "targetModules": list(case.targets)}},
            "training": {"maxSteps": steps, "batchSize": case.batch_size, "maxSequenceLength": 512},
        },
    }
