"""Prepared data as training reads it: memory-mapped, verified, never changed.

Below the layout's `prepared` directory, `<key>/` holds one prepared data set and `requests/<digest>.json`
says which key belongs to which configuration, so that a worker finds its data without the sources and without
the network.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.messages import DatasetFacts
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.errors import RunError, run_error
from llmfinetune_trainer.sources.digest import digest_json, sha256_file

FORMAT_VERSION: Final = 2
"""Part of every key: data prepared by a program that prepares differently is prepared again."""
MANIFEST: Final = "manifest.json"
TOKENS: Final = "tokens.bin"
TARGETS: Final = "targets.bin"
OFFSETS: Final = "offsets.npy"
SUPERVISED: Final = "supervised.npy"
SPLITS: Final = ("train", "validation")


class Split:
    """Samples of one split, on disk.

    Attributes:
        num_samples: how many there are.
        lengths: tokens of each, int32.
        supervised: tokens of each that are targets, int32; the first token of a sample never is.
    """

    def __init__(self, store: "Store", members: NDArray[np.int64]) -> None:
        self._store = store
        self._members = members
        self.num_samples = len(members)
        self.lengths: NDArray[np.int32] = np.diff(store.offsets)[members].astype(np.int32)
        self.supervised: NDArray[np.int32] = store.supervised[members].astype(np.int32)

    def tokens(self, index: int) -> NDArray[np.int32]:
        """Token ids of one sample, a read-only view of shape [length]."""
        return self._store.tokens[self._span(index)]

    def loss_mask(self, index: int) -> NDArray[np.bool_]:
        """True where a token is a target to predict from those before it, shape [length]."""
        return self._store.targets[self._span(index)]

    def _span(self, index: int) -> slice:
        member = self._members[index]
        return slice(int(self._store.offsets[member]), int(self._store.offsets[member + 1]))


class Store(NamedTuple):
    """The arrays that the splits share: sample i lies at offsets[i]:offsets[i+1]."""

    tokens: NDArray[np.int32]
    targets: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    supervised: NDArray[np.int32]


class Prepared(NamedTuple):
    """Everything that training starts from."""

    train: Split
    validation: Split
    facts: DatasetFacts
    model_path: Path
    """Directory with config.json, safetensors weights and tokenizer."""
    base_model_name: str
    """Repository or URI of the model, for the adapter's configuration and card."""
    base_revision: str
    """Commit, or `sha256:…` over the model's files."""
    tokenizer_path: Path
    key: str
    format_name: str
    """Format of the rows, as `dataset.format` names it and never `auto`."""
    template: str
    """How examples became text: alpaca, chat or plain."""


def request_digest(config: RunConfig) -> str:
    """Digest of what preparation depends on in a configuration: the name under which workers look it up."""
    return digest_json(
        {
            "version": FORMAT_VERSION,
            "model": config.model.model_dump(include={"source", "revision"}),
            "dataset": config.dataset.model_dump(),
            "length": config.training.max_sequence_length,
            "seed": config.training.seed,
            "fp32": config.training.precision == "fp32",
            "targets": config.method.lora.target_modules,
        }
    )


def request_path(config: RunConfig, layout: Layout) -> Path:
    """The file that says which key belongs to this configuration."""
    return layout.prepared / "requests" / f"{request_digest(config)}.json"


def open_prepared(config: RunConfig, layout: Layout) -> Prepared:
    """Opens what `llmfinetune prepare` made for this configuration, and verifies it.

    Raises:
        RunError: it is not there, or not as it was written.
    """
    try:
        request = json.loads(request_path(config, layout).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _not_prepared(f"no prepared data for this configuration below {layout.prepared}") from None
    except ValueError:
        raise _not_prepared(f"{request_path(config, layout)} is damaged") from None
    return open_key(request["key"], layout)


def open_key(key: str, layout: Layout) -> Prepared:
    """Opens and verifies the prepared data with this key."""
    directory = layout.prepared / key
    manifest = _verified_manifest(directory)
    model_path = layout.root / manifest["model"]["path"]
    for name, size in manifest["model"]["files"].items():
        _check_size(model_path / name, size)
    store = _store(directory)
    train, validation = (Split(store, np.load(directory / f"{name}.npy")) for name in SPLITS)
    return Prepared(
        train=train,
        validation=validation,
        facts=DatasetFacts.model_validate(manifest["facts"]),
        model_path=model_path,
        base_model_name=manifest["model"]["name"],
        base_revision=manifest["model"]["revision"],
        tokenizer_path=model_path,
        key=key,
        format_name=manifest["format"],
        template=manifest["template"],
    )


def file_entries(directory: Path) -> dict[str, dict[str, Any]]:
    """Size and digest of each file, for the manifest."""
    return {
        path.name: {"size": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(directory.iterdir())
    }


def _store(directory: Path) -> Store:
    return Store(
        tokens=_mapped(directory / TOKENS, np.dtype("<i4")),
        targets=_mapped(directory / TARGETS, np.dtype(np.bool_)),
        offsets=np.load(directory / OFFSETS),
        supervised=np.load(directory / SUPERVISED),
    )


def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.memmap(path, dtype=dtype, mode="r")


def _verified_manifest(directory: Path) -> Mapping[str, Any]:
    try:
        manifest: Mapping[str, Any] = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _not_prepared(f"no prepared data in {directory}") from None
    except ValueError:
        raise _not_prepared(f"{directory / MANIFEST} is damaged") from None
    for name, entry in manifest["files"].items():
        _check_size(directory / name, entry["size"])
        found = sha256_file(directory / name)
        if found != entry["sha256"]:
            raise _not_prepared(
                f"{directory / name} is damaged: sha256 is {found}, was written as {entry['sha256']}"
            )
    return manifest


def _check_size(path: Path, size: int) -> None:
    found = path.stat().st_size if path.is_file() else None
    if found != size:
        what = "is missing" if found is None else f"has {found} bytes"
        raise _not_prepared(f"{path} {what}, was written with {size} bytes")


def _not_prepared(message: str) -> RunError:
    hint = "run `llmfinetune prepare` with the same manifest and workspace; it makes what is missing again"
    return run_error("Data", "NotPrepared", message, hint=hint)
