"""Checkpoints on the volume: one directory each, complete or absent, with checksums.

The manifest is written last, everything is read back, and then the directory is renamed into place, so a torn
checkpoint is one whose manifest is missing or does not match; the one before is used then. Nothing in it
depends on the number of workers.
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

from safetensors.torch import load_file, save
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
            OSError: the volume is full, not writable, or gives back something else; older ones are untouched.
        """
        target = self._directory / f"{PREFIX}{checkpoint.step:08d}"
        temporary = self._directory / f"{TEMPORARY_PREFIX}{target.name}-{uuid4().hex[:8]}"
        temporary.mkdir(parents=True)
        try:
            _write(temporary, checkpoint)
            if not is_whole(temporary):
                raise OSError(f"{target} reads back differently from what was written")
            facts = _facts(target, size=_size(temporary), step=checkpoint.step, now=now)
            _put(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._prune()
        return facts

    def newest(self) -> Path | None:
        """The newest checkpoint whose checksums match. Torn ones are removed: kept, they would count as one
        of the last."""
        for path in newest_first(self._directory):
            if is_whole(path):
                return path
            log.warning("checkpoint %s is torn or changed and is not used", path.name)
            shutil.rmtree(path, ignore_errors=True)
        return None

    def _prune(self) -> None:
        for path in newest_first(self._directory)[self._keep :]:
            shutil.rmtree(path, ignore_errors=True)


def newest_first(directory: Path) -> list[Path]:
    """The checkpoints below a directory, whole ones or not."""
    return sorted(directory.glob(f"{PREFIX}*"), reverse=True)


def facts_of(path: Path) -> CheckpointFacts:
    """What is told of a whole checkpoint."""
    written_at = dt.datetime.fromtimestamp((path / MANIFEST).stat().st_mtime, dt.UTC)
    return _facts(path, size=_size(path), step=int(path.name.removeprefix(PREFIX)), now=written_at)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a whole checkpoint."""
    state = json.loads((path / STATE).read_text(encoding="utf-8"))
    tensors = {file.stem: load_file(file) for file in sorted(path.glob("*.safetensors"))}
    return Checkpoint(step=state["step"], tensors=tensors, state=state)


def is_whole(path: Path) -> bool:
    """Whether the manifest is there and every checksum in it matches what is on the disk now.

    Raises:
        OSError: it is there and cannot be read, which says nothing about what it holds.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        expected: dict[str, str] = manifest["sha256"]
        return bool(expected) and expected == _digests(path)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return False


def _write(directory: Path, checkpoint: Checkpoint) -> None:
    """Writes the files, then the manifest, whose checksums are of what was meant, not of what was written."""
    digests = {}
    for name, content in _contents(checkpoint):
        (directory / name).write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    sync_tree(directory)
    (directory / MANIFEST).write_text(json.dumps({"sha256": digests}, indent=1), encoding="utf-8")
    sync_tree(directory)


def _contents(checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
    for name, tensors in checkpoint.tensors.items():
        yield f"{name}.safetensors", save(dict(tensors))
    yield STATE, json.dumps({"step": checkpoint.step, **checkpoint.state}).encode()


def _put(temporary: Path, target: Path) -> None:
    """Renames into place. Another rank that leaves at the same moment may put the same state there first."""
    if is_whole(target):
        return
    shutil.rmtree(target, ignore_errors=True)
    try:
        temporary.rename(target)
    except OSError:
        if not is_whole(target):
            raise
    sync(target.parent)


def _digests(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.iterdir()) if path.name != MANIFEST)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())


def _facts(target: Path, *, size: int, step: int, now: dt.datetime) -> CheckpointFacts:
    return CheckpointFacts(
        step=step,
        time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        path=f"{target.parent.name}/{target.name}",
        size_bytes=size,
        verified=True,
        resumable=True,
    )
