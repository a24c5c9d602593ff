"""The files of a model: a directory with safetensors weights, or one GGUF file."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from llmfinetune_trainer.config.run import ModelConfig
from llmfinetune_trainer.config.source import parse_source
from llmfinetune_trainer.errors import RunError, model_access_error
from llmfinetune_trainer.sources import hub
from llmfinetune_trainer.sources.context import FetchContext
from llmfinetune_trainer.sources.digest import digest_files
from llmfinetune_trainer.sources.https import download
from llmfinetune_trainer.sources.local import local_path

SUFFIXES: Final = (".json", ".safetensors", ".model", ".txt", ".jinja", ".tiktoken")
"""What is taken from a model directory: configuration, weights, tokenizer. Never code."""
WEIGHTS: Final = (".safetensors", ".gguf")
INDEX: Final = "model.safetensors.index.json"
FINDABLE: Final = frozenset({"model.safetensors", INDEX})
"""By what transformers finds weights: one file, or what says which of several files holds what."""
USUAL: Final = (
    "spec.model.source must name a directory with config.json and model.safetensors, or its index and the "
    "files that it names, or one GGUF file"
)


class ModelFiles(NamedTuple):
    """A model as its source has it."""

    path: Path
    """A directory, or a GGUF file."""
    name: str
    """What an adapter calls its base: the repository, or the source's URI."""
    revision: str
    """Commit, or `sha256:…` over the files."""
    is_own: bool
    """Whether the files lie in this layout's cache, so that they may be linked instead of copied."""


def fetch_model(model: ModelConfig, context: FetchContext, *, with_weights: bool = True) -> ModelFiles:
    """Gets a model to this machine.

    Args:
        model: what the manifest names.
        context: where to put it.
        with_weights: False gets only what is small where that is possible, to check before gigabytes travel.

    Raises:
        RunError: it cannot be had, or is no model.
    """
    source = parse_source(model.source)
    if source.scheme == "hf":
        return _from_hub(source.name, source.path, model.revision, context, with_weights=with_weights)
    if source.scheme == "https":
        path = download(source, "model", context)
        return ModelFiles(path, source.name, f"sha256:{source.sha256}", is_own=True)
    path = local_path(source, "model", context)
    name = model.source if source.scheme != "file" else source.path
    if path.is_file():
        return ModelFiles(path, name, f"sha256:{digest_files({path.name: path})}", is_own=False)
    files = {
        entry.name: entry for entry in sorted(path.iterdir()) if entry.name.endswith((*SUFFIXES, ".gguf"))
    }
    weights = choose_weights(tuple(files), where=model.source)
    if weights:
        return ModelFiles(
            path / weights, name, f"sha256:{digest_files({weights: path / weights})}", is_own=False
        )
    return ModelFiles(path, name, f"sha256:{digest_files(files)}", is_own=False)


def _from_hub(
    repository: str, path: str, revision: str, context: FetchContext, *, with_weights: bool
) -> ModelFiles:
    found = hub.resolve(repository, revision, "model", context)
    below = f"{path.rstrip('/')}/" if path and not path.endswith(".gguf") else ""
    names = [
        name for name in found.files if name == path or PurePosixPath(name).parent == PurePosixPath(below)
    ]
    gguf = choose_weights(names, where=f"hf://{repository}")
    wanted = [gguf] if gguf else [name for name in names if name.endswith(SUFFIXES)]
    small = [name for name in wanted if not name.endswith(WEIGHTS)]
    chosen = wanted if with_weights or gguf else small
    context.progress(f"fetching {len(chosen)} files of hf://{repository} at {found.commit}")
    root = hub.fetch(found, chosen, context)
    return ModelFiles(root / (gguf or below), repository, found.commit, is_own=True)


def choose_weights(names: Sequence[str], *, where: str) -> str:
    """The GGUF file among a model's files, or "" where the weights are safetensors.

    Raises:
        RunError: there are no weights, or several GGUF files.
    """
    if any(PurePosixPath(name).name in FINDABLE for name in names):
        return ""
    found = sorted(name for name in names if name.endswith(".gguf"))
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(found)
        hint = "append the one that is meant to spec.model.source"
        raise model_access_error("WeightsAmbiguous", f"{where} has several GGUF files: {listed}", hint=hint)
    raise no_weights(names, where=where)


def no_weights(names: Sequence[str], *, where: str) -> RunError:
    """There is nothing that weights could be read from."""
    listed = ", ".join(names[:20]) or "nothing"
    pickled = any(name.endswith((".bin", ".pt", ".pth")) for name in names)
    why = " (pickled weights are not read: they can run code)" if pickled else ""
    return model_access_error(
        "WeightsMissing",
        f"{where} has no weights{why}; there is {listed}",
        hint=USUAL,
    )
