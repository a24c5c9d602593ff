"""Checkpoints on the volume: one directory each, complete or absent, with checksums.

The manifest is written last, and the directory is renamed into place after it, so a torn checkpoint is one
whose manifest is missing or does not match; the one before is used then. Nothing in it depends on the number
of workers.
"""

import datetime as dt
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from llmfinetune_trainer.atomic import TEMPORARY_PREFIX, sync, sync_tree
from llmfinetune_trainer.config.messages import CheckpointFacts

PREFIX = "step-"
MANIFEST = "manifest.json"
STATE = "state.json"

log = logging.getLogger(__name__)


class Checkpoint(NamedTuple):
    """What a checkpoint holds: tensors by file and name, and plain values."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    """File name without suffix → name → tensor."""
    state: Mapping[str, Any]
    """JSON values."""


class CheckpointStore:
    """The checkpoints of one fine-tune below `directory`."""

    def __init__(self, directory: Path, *, keep: int) -> None:
        self._directory = directory
        self._keep = keep

    def save(self, checkpoint: Checkpoint, *, now: dt.datetime) -> CheckpointFacts:
        """Writes a checkpoint, reads it back, and removes those that are too old.

        Raises:
            OSError: the volume is full or not writable.
        """
        target = self._directory / f"{PREFIX}{checkpoint.step:08d}"
        temporary = self._directory / f"{TEMPORARY_PREFIX}{target.name}-{uuid4().hex[:8]}"
        temporary.mkdir(parents=True)
        try:
            _write(temporary, checkpoint)
            if not _is_whole(target):
                shutil.rmtree(target, ignore_errors=True)
                # another rank that leaves at the same moment may put the same state there first
                _rename(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._prune()
        return _facts(target, step=checkpoint.step, now=now)

    def newest(self) -> Path | None:
        """The newest checkpoint whose checksums match."""
        for path in self._newest_first():
            if _is_whole(path):
                return path
            log.warning("checkpoint %s is torn or changed and is not used", path.name)
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self._directory.glob(f"{PREFIX}*"), reverse=True)

    def _prune(self) -> None:
        for path in self._newest_first()[self._keep :]:
            shutil.rmtree(path, ignore_errors=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint that `CheckpointStore.newest` returned."""
    state = json.loads((path / STATE).read_text(encoding="utf-8"))
    tensors = {file.stem: load_file(file) for file in sorted(path.glob("*.safetensors"))}
    return Checkpoint(step=state["step"], tensors=tensors, state=state)


def _write(directory: Path, checkpoint: Checkpoint) -> None:
    for name, tensors in checkpoint.tensors.items():
        save_file(dict(tensors), directory / f"{name}.safetensors")
    state = {"step": checkpoint.step, **checkpoint.state}
    (directory / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
    digests = {path.name: digest for path, digest in _digests(directory)}
    sync_tree(directory)
    (directory / MANIFEST).write_text(json.dumps({"sha256": digests}, indent=1), encoding="utf-8")
    sync_tree(directory)


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.rename(target)
    except OSError:
        if not _is_whole(target):
            raise
    sync(target.parent)


def _is_whole(path: Path) -> bool:
    """Whether the manifest is there and every checksum in it matches what is on the disk now."""
    try:
        expected: dict[str, str] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["sha256"]
        return bool(expected) and expected == {file.name: digest for file, digest in _digests(path)}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return False


def _digests(directory: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(directory.iterdir()):
        if path.name != MANIFEST:
            yield path, hashlib.sha256(path.read_bytes()).hexdigest()


def _facts(path: Path, *, step: int, now: dt.datetime) -> CheckpointFacts:
    return CheckpointFacts(
        step=step,
        time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        path=f"{path.parent.name}/{path.name}",
        size_bytes=sum(file.stat().st_size for file in path.iterdir()),
        verified=_is_whole(path),
        resumable=True,
    )
