"""Which linear layers get an adapter, by the manifest's names. Needs the model's structure alone."""

import difflib
import fnmatch
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from llmfinetune_trainer.errors import RunError, model_access_error, user_error

ALL_LINEAR: Final = "all-linear"
MAMBA: Final = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")
"""`model_type` of models whose kernels read the weight of `out_proj` itself, and would pass an adapter over:
peft refuses it."""


def model_skeleton(directory: Path) -> Any:
    """The model of a directory's config.json without weights (on torch's meta device)."""
    import torch  # takes seconds
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    try:
        config = AutoConfig.from_pretrained(directory, local_files_only=True)
        # Its module is imported here: one that is imported under another device fails, or keeps that device.
        architecture = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
        with torch.device("meta"):
            return architecture(config)
    except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
        raise model_access_error(
            "ModelUnsupported",
            f"config.json in {directory} describes no causal language model that is supported: {error}",
            hint="name a causal language model that transformers supports without code of its own",
        ) from error


def linear_layers(model: Any) -> list[str]:
    """Full names of a model's linear layers that adapters may change, without its output layer."""
    head = model.get_output_embeddings()
    return [
        name
        for name, module in model.named_modules()
        if _is_linear(module) and module is not head and not _is_read_past(model, name)
    ]


def layer_kinds(model: Any) -> dict[str, str]:
    """Full name → what it is, of every module, for messages."""
    head = model.get_output_embeddings()
    return {name: _kind(model, name, module, head) for name, module in model.named_modules() if name}


def resolve_targets(linear: Sequence[str], targets: Sequence[str], *, others: Mapping[str, str]) -> list[str]:
    """Full names of the layers that `targets` name.

    A target is `all-linear`, a layer's last name (`q_proj`), the end of its full name (`self_attn.q_proj`) or
    its full name; `*` stands for any characters.

    Args:
        linear: full names of the linear layers.
        targets: names from the manifest.
        others: class of every module by full name, to say why a name that exists does not fit.

    Raises:
        RunError: listing every target that matches no linear layer, with near matches.
    """
    meant = {target: [name for name in linear if matches(name, target)] for target in targets}
    unmatched = [target for target, names in meant.items() if not names]
    if unmatched:
        raise _unmatched(unmatched, linear, others)
    chosen = {name for names in meant.values() for name in names}
    return [name for name in linear if name in chosen]


def matches(name: str, target: str) -> bool:
    """Whether a target means the layer of a full name."""
    return (
        target == ALL_LINEAR or fnmatch.fnmatchcase(name, target) or fnmatch.fnmatchcase(name, f"*.{target}")
    )


def _unmatched(targets: Sequence[str], linear: Sequence[str], others: Mapping[str, str]) -> RunError:
    known = sorted({name.rsplit(".", 1)[-1] for name in linear})
    lines = [f"  - {target}{_why(target, known, others)}" for target in targets]
    return user_error(
        "TargetModuleUnmatched",
        "spec.method.lora.targetModules names what is no linear layer of the model:\n" + "\n".join(lines),
        hint=f"linear layers of this model are {', '.join(known)}; {ALL_LINEAR} takes all of them",
    )


def _why(target: str, known: Collection[str], others: Mapping[str, str]) -> str:
    kinds = sorted({kind for name, kind in others.items() if matches(name, target)})
    if kinds:
        return f": is there, as {', '.join(kinds[:3])}"
    near = difflib.get_close_matches(target.rsplit(".", 1)[-1], known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _kind(model: Any, name: str, module: Any, head: Any) -> str:
    if module is head:
        return "the output layer, which stays frozen"
    return "a layer that Mamba reads past an adapter" if _is_read_past(model, name) else type(module).__name__


def _is_read_past(model: Any, name: str) -> bool:
    return model.config.model_type in MAMBA and name.rpartition(".")[2] == "out_proj"


def _is_linear(module: Any) -> bool:
    import torch  # takes seconds
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, torch.nn.Linear | Conv1D)
