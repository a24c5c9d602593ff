"""Merged weights: W + scale·B·A in the base's own type, as a model directory that plain transformers loads.

The directory is a copy of the base in which the adapted layers' numbers are written anew, one layer in memory
at a time: names, types and files stay the base's, and the same adapter gives the same bytes.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from peft import LoraConfig as PeftLoraConfig
from torch import Tensor

from llmfinetune_trainer.atomic import atomic_directory
from llmfinetune_trainer.errors import disk_full, user_error
from llmfinetune_trainer.model.tensors import Place, place_of, places

LINEAGE: Final = "lineage.json"
_PREFIX: Final = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"


class _Change(NamedTuple):
    """What is added to one weight: scale·B·A."""

    place: Place
    a: Tensor
    b: Tensor

    def apply(self, directory: Path, *, scale: float, transposed: bool) -> None:
        weight = self.place.read(directory)
        update = (self.b.float() @ self.a.float()) * scale
        total = weight.float() + (update.t() if transposed else update)
        self.place.write(directory, total.to(weight.dtype))


def merge(
    model_path: Path,
    target: Path,
    *,
    adapter: Mapping[str, Tensor],
    peft_config: PeftLoraConfig,
    lineage: Mapping[str, Any],
    on_progress: Callable[[float], None] = lambda _share: None,
) -> None:
    """Writes the merged model to `target`, whole or not at all.

    Args:
        model_path: directory of the base model.
        target: directory to write; replaced if it is there, and removed first where there is no room for two.
        adapter: weights by the names that peft saves.
        peft_config: rank, alpha and orientation of the adapter.
        lineage: what the model was made from, written beside it.
        on_progress: told which share of the files and layers is done, in (0, 1].

    Raises:
        RunError: see `check_merge`.
    """
    changes, files = _changes(model_path, adapter), _files(model_path)
    num_parts = len(files) + len(changes)
    target.parent.mkdir(parents=True, exist_ok=True)
    _check_room(model_path, target)
    if target.is_dir() and _size(model_path) > _free(target):
        shutil.rmtree(target)
    with atomic_directory(target) as directory:
        for num_copied, entry in enumerate(files, start=1):
            shutil.copyfile(entry, directory / entry.name)
            on_progress(num_copied / num_parts)
        for num_changed, change in enumerate(changes, start=1):
            change.apply(
                directory,
                scale=peft_config.lora_alpha / peft_config.r,
                transposed=peft_config.fan_in_fan_out,
            )
            on_progress((len(files) + num_changed) / num_parts)
        (directory / LINEAGE).write_text(json.dumps(lineage, indent=2) + "\n", encoding="utf-8")


def check_merge(model_path: Path, target: Path, *, adapter: Mapping[str, Tensor]) -> None:
    """Finds out before any work whether a merge will be possible.

    Raises:
        RunError: the model's files do not hold the adapted layers by name, or the volume has no room.
    """
    _changes(model_path, adapter)
    _check_room(model_path, target)


def _changes(model_path: Path, adapter: Mapping[str, Tensor]) -> list[_Change]:
    there = places(model_path)
    layers = sorted(name.removesuffix(_A) for name in adapter if name.endswith(_A))
    return [
        _Change(_place(there, layer, model_path), adapter[layer + _A], adapter[layer + _B])
        for layer in layers
    ]


def _place(there: Mapping[str, Place], layer: str, model_path: Path) -> Place:
    name = f"{layer.removeprefix(_PREFIX)}.weight"
    place = place_of(there, name)
    if place is None:
        raise user_error(
            "MergeNotSupported",
            f"output.merge: the files in {model_path} hold no weight {name} that could be changed",
            hint="set output.merge to false and load the adapter with peft, which can merge it in memory",
        )
    return place


def _check_room(model_path: Path, target: Path) -> None:
    """What lies at `target` makes room, as it is replaced."""
    needed, free = _size(model_path), _free(target) + (_size(target) if target.is_dir() else 0)
    if needed > free:
        raise disk_full(target, f"the merged model needs {needed} bytes, {free} are free")


def _free(target: Path) -> int:
    parent = next(each for each in target.parents if each.exists())
    return shutil.disk_usage(parent).free


def _size(directory: Path) -> int:
    return sum(entry.stat().st_size for entry in _files(directory))


def _files(model_path: Path) -> list[Path]:
    return [entry for entry in sorted(model_path.iterdir()) if entry.is_file()]
