"""Files and directories that appear whole or not at all, also after a kill or a power cut."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

TEMPORARY_PREFIX = ".incomplete-"
"""Names of what is still being written; a later run removes what a killed one left."""


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yields a new directory beside `target` that becomes `target` at the end, in the place of an old one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{TEMPORARY_PREFIX}{target.name}-{uuid4().hex[:8]}"
    temporary.mkdir()
    try:
        yield temporary
        sync_tree(temporary)
        if target.exists():
            shutil.rmtree(target)
        temporary.replace(target)
        sync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_atomically(target: Path, text: str) -> None:
    """Writes a text file that readers see whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{TEMPORARY_PREFIX}{target.name}-{uuid4().hex[:8]}"
    try:
        temporary.write_text(text, encoding="utf-8")
        sync(temporary)
        temporary.replace(target)
        sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Waits until no other process holds `lock`; released when its holder ends or is killed."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_incomplete(directory: Path) -> None:
    """Removes what killed writers left in `directory`. Only for a directory that has one writer."""
    for path in directory.glob(f"{TEMPORARY_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync_tree(directory: Path) -> None:
    """Flushes every file and directory below `directory` to the disk."""
    for root, _, files in os.walk(directory):
        for name in files:
            sync(Path(root, name))
        sync(Path(root))


def sync(path: Path) -> None:
    """Flushes one file or directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
