"""Digests that name contents: of files, of directories, of settings."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def sha256_file(path: Path) -> str:
    """Hexadecimal sha256 of a file's content, read once in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_files(files: Mapping[str, Path]) -> str:
    """One digest over several files: sha256 of the lines `<sha256>  <name>` in order of name."""
    lines = [f"{sha256_file(path)}  {name}\n" for name, path in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def digest_json(value: Any) -> str:
    """Digest of a value's canonical JSON: the same settings give the same digest in any order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def stat_fingerprint(files: Mapping[str, Path]) -> str:
    """Cheap identity of local files, by name, size and time of change: tells what need not be read again."""
    stats = {name: path.stat() for name, path in files.items()}
    return digest_json({name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()})
