"""Makes a model directory that loads fast: weights, configuration and tokenizer on the run's own volume.

Done once, by preparation. A directory is taken over as it is; a GGUF file is unpacked into plain weights, in
bf16 unless the run computes in fp32.
"""

import functools
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from llmfinetune_trainer.atomic import atomic_directory
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.errors import RunError, disk_full, is_disk_full, model_access_error
from llmfinetune_trainer.sources.models import FINDABLE, INDEX, SUFFIXES, USUAL, ModelFiles, no_weights

_TOKENIZERS: Final = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")


def materialise(model: ModelFiles, layout: Layout, *, in_fp32: bool, progress: Callable[[str], None]) -> Path:
    """The model's directory below the layout's cache, made if it is not there.

    Raises:
        RunError: the files are no model, are damaged, or the volume has no room.
    """
    target = model_directory(model, layout, in_fp32=in_fp32)
    if target.is_dir():
        return target
    check_files(model.path)
    with atomic_directory(target) as directory:
        if model.path.is_dir():
            progress(f"taking over the model from {model.path}")
            _take_over(model, directory)
        else:
            progress(f"unpacking {model.path.name}")
            _unpack_gguf(model.path, directory, in_fp32=in_fp32)
    return target


def model_directory(model: ModelFiles, layout: Layout, *, in_fp32: bool) -> Path:
    """Where a model lies, or will lie, below the layout's cache."""
    name = model.revision.replace(":", "-")
    if not model.path.is_dir():
        name = f"{name}-{'fp32' if in_fp32 else 'bf16'}"
    return layout.cache / "models" / name


def check_files(path: Path) -> None:
    """Checks what can be known of a model without loading it.

    Raises:
        RunError: something is missing or damaged.
    """
    if path.is_dir():
        _check_directory(path)
    else:
        _check_gguf(path)


def skeleton_directory(model: ModelFiles, scratch: Path) -> Path:
    """A directory with the model's config.json, to know its structure before the weights are there."""
    if model.path.is_dir():
        _check_configuration(model.path)
        return model.path
    _check_gguf(model.path)
    _gguf_config(model.path).save_pretrained(scratch)
    return scratch


def tokenizer_directory(model: ModelFiles, scratch: Path) -> Path:
    """A directory with the model's tokenizer; a GGUF file's is written into `scratch`."""
    if model.path.is_dir():
        return model.path
    from transformers import AutoTokenizer  # takes seconds, and only preparation needs it

    AutoTokenizer.from_pretrained(str(model.path.parent), gguf_file=model.path.name).save_pretrained(scratch)
    return scratch


def _check_directory(path: Path) -> None:
    _check_configuration(path)
    names = sorted(entry.name for entry in path.iterdir())
    if not any(name in names for name in _TOKENIZERS):
        raise model_access_error(
            "TokenizerMissing",
            f"{path} has no tokenizer ({', '.join(_TOKENIZERS)}); there is {', '.join(names[:20])}",
            hint="put the model's tokenizer files beside its weights",
        )
    weights = [name for name in names if name.endswith(".safetensors")]
    if not FINDABLE & set(names):
        raise no_weights(names, where=str(path))
    if INDEX in names:
        listed = set(json.loads((path / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        if missing := sorted(listed - set(weights)):
            raise no_weights(names, where=f"{path}, whose index names {', '.join(missing)},")
    for name in weights:
        _check_safetensors(path / name)


def _check_configuration(path: Path) -> None:
    names = sorted(entry.name for entry in path.iterdir())
    if "config.json" not in names:
        raise _not_a_model(path, f"there is no config.json in it, but {', '.join(names[:20]) or 'nothing'}")


def _check_safetensors(path: Path) -> None:
    """A safetensors file says in its header how long it is."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, 100 << 20)))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = 8 + length + max(ends, default=0)
    except (struct.error, ValueError, KeyError, TypeError):
        raise _damaged(path, "its header cannot be read") from None
    if path.stat().st_size != expected:
        raise _damaged(path, f"it has {path.stat().st_size} bytes, its header says {expected}")


def _check_gguf(path: Path) -> None:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise _not_a_model(path, "it is neither a directory nor a GGUF file")


def _take_over(model: ModelFiles, directory: Path) -> None:
    files = [entry for entry in sorted(model.path.iterdir()) if entry.name.endswith(SUFFIXES)]
    if not model.is_own:
        _check_room(sum(entry.stat().st_size for entry in files), directory)
    for entry in files:
        if model.is_own:
            os.link(entry.resolve(), directory / entry.name)
        else:
            shutil.copyfile(entry, directory / entry.name)


def _unpack_gguf(path: Path, directory: Path, *, in_fp32: bool) -> None:
    import torch  # takes seconds, and only preparation needs it
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils.logging import disable_progress_bar

    from llmfinetune_trainer.model.load import whole

    disable_progress_bar()
    _check_room(path.stat().st_size, directory)
    source = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    try:
        AutoTokenizer.from_pretrained(**source).save_pretrained(directory)
        loaded = AutoModelForCausalLM.from_pretrained(
            **source,
            config=_gguf_config(path),
            dtype=torch.float32 if in_fp32 else torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
        )
        whole(loaded, path).save_pretrained(directory)
    except RunError:
        raise
    except Exception as error:  # a damaged file surfaces as any of numpy's, gguf's and transformers' errors
        if is_disk_full(error):
            raise disk_full(directory, f"unpacking {path.name}") from error
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    for entry in directory.iterdir():
        entry.chmod(0o644)  # the library makes weights readable for the owner alone


@functools.cache  # reading a GGUF file's header takes seconds
def _gguf_config(path: Path) -> Any:
    from transformers import AutoConfig  # takes seconds, and only preparation needs it

    try:
        return AutoConfig.from_pretrained(str(path.parent), gguf_file=path.name)
    except Exception as error:  # a damaged file surfaces as any of numpy's, gguf's and transformers' errors
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _check_room(size: int, directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if size > free:
        raise disk_full(directory, f"the model needs {size} bytes or more, {free} are free")


def _not_a_model(path: Path, why: str) -> RunError:
    return model_access_error(
        "NotAModel",
        f"{path} is no model: {why}",
        hint=USUAL,
    )


def _damaged(path: Path, why: str) -> RunError:
    hint = "fetch the file again and compare its size and digest with where it comes from"
    return model_access_error("ModelDamaged", f"{path} is damaged or not supported: {why}", hint=hint)
