"""Adapters as peft saves them: their weights, and whether they fit a run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from llmfinetune_trainer.config.run import LoraConfig, RunConfig
from llmfinetune_trainer.data.prepared import Prepared
from llmfinetune_trainer.errors import RunError, user_error
from llmfinetune_trainer.model.targets import layer_kinds, linear_layers, model_skeleton, resolve_targets

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
_PREFIX: Final = "base_model.model."
"""What peft puts before the name of every layer."""
_MATRICES: Final = (".lora_A.weight", ".lora_B.weight")


class AdapterFiles(NamedTuple):
    """An adapter without its model."""

    base: str
    """Name of the model that it was trained on; empty where nobody noted it."""
    scale: float
    """Factor of the update B·A."""
    weights: Mapping[str, Tensor]
    """By the names that peft saves."""


def read_adapter(directory: Path) -> AdapterFiles:
    """Reads an adapter's directory.

    Raises:
        RunError: it holds no LoRA adapter with safetensors weights.
    """
    try:
        config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
        weights = load_file(directory / WEIGHTS)
        scale = config["lora_alpha"] / config["r"] ** (0.5 if config.get("use_rslora") else 1.0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise user_error(
            "AdapterUnreadable",
            f"{directory} holds no LoRA adapter that can be read: {error}",
            hint=f"name a directory with {CONFIG} and {WEIGHTS}, as peft saves them",
        ) from error
    base = str(config.get("base_model_name_or_path") or "")
    return AdapterFiles(base, scale, {name: weight.float() for name, weight in weights.items()})


def unlike(adapter: AdapterFiles, config: RunConfig, prepared: Prepared) -> list[str]:
    """One line for everything by which an adapter is none of this run's; empty where it fits."""
    lora, layers = config.method.lora, _adapted_layers(prepared.model_path, config.method.lora)
    return [
        *_of_base(adapter.base, prepared.base_model_name),
        *(_of_layers(adapter.weights, layers) or _of_shapes(adapter.weights, layers)),
        *_of_rank(adapter.weights, lora.rank),
        *_of_scale(adapter.scale, lora),
    ]


def misfit(what: str, problems: Sequence[str]) -> RunError:
    """The error that says why something cannot be started from."""
    listed = "\n".join(f"  - {problem}" for problem in problems)
    return user_error(
        "ResumeFromMismatch",
        f"the {what} that spec.resumeFrom names does not fit this fine-tune:\n{listed}",
        hint="make these settings equal, or start from something else",
    )


def _adapted_layers(model_path: Path, lora: LoraConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights of the layers that get adapters, by full name."""
    skeleton = model_skeleton(model_path)
    names = resolve_targets(linear_layers(skeleton), lora.target_modules, others=layer_kinds(skeleton))
    return {name: tuple(skeleton.get_submodule(name).weight.shape) for name in names}


def _of_base(theirs: str, ours: str) -> list[str]:
    return [f"base model: {theirs} there, {ours} here"] if theirs and theirs != ours else []


def _of_layers(weights: Mapping[str, Tensor], layers: Mapping[str, Sequence[int]]) -> list[str]:
    wanted = {f"{_PREFIX}{layer}{matrix}" for layer in layers for matrix in _MATRICES}
    missing, foreign = sorted(wanted - weights.keys()), sorted(weights.keys() - wanted)
    return [
        f"{len(names)} {what}, such as {names[0]}"
        for names, what in ((missing, "weights are missing"), (foreign, "weights have no place here"))
        if names
    ]


def _of_shapes(weights: Mapping[str, Tensor], layers: Mapping[str, Sequence[int]]) -> list[str]:
    for layer, shape in layers.items():
        down, up = (weights[f"{_PREFIX}{layer}{matrix}"] for matrix in _MATRICES)
        if sorted((down.shape[1], up.shape[0])) != sorted(shape):
            return [f"{layer} has {down.shape[1]} inputs and {up.shape[0]} outputs there, {list(shape)} here"]
    return []


def _of_rank(weights: Mapping[str, Tensor], rank: int) -> list[str]:
    ranks = {weight.shape[0] for name, weight in weights.items() if name.endswith(_MATRICES[0])}
    found = ", ".join(map(str, sorted(ranks)))
    return [f"method.lora.rank: {found} there, {rank} here"] if ranks - {rank} else []


def _of_scale(scale: float, lora: LoraConfig) -> list[str]:
    ours = lora.alpha / lora.rank
    if abs(scale - ours) <= 1e-6 * ours:
        return []
    return [f"scale of the update (method.lora.alpha / rank): {scale:g} there, {ours:g} here"]
