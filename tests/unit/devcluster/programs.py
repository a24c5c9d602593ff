"""Stands in for programs of the machine: scripts on PATH that answer as told, and a note of every call."""

from collections.abc import Mapping
from pathlib import Path

import pytest

NOTES = "calls"


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, scripts: Mapping[str, str]) -> None:
    """Puts scripts, which run in the folder, on PATH, and nothing of the machine's but what scripts need."""
    found = folder / "bin"
    found.mkdir(exist_ok=True)
    for name, body in scripts.items():
        program = found / name
        program.write_text(f'#!/bin/sh\ncd {folder}\necho "{name} $*" >> {NOTES}\n{body}\n')
        program.chmod(0o755)
    for tool in ("cat", "touch", "rm"):
        if not (found / tool).exists():
            (found / tool).symlink_to(f"/usr/bin/{tool}")
    monkeypatch.setenv("PATH", str(found))


def calls(folder: Path) -> list[str]:
    """Returns the commands that were run so far, in order."""
    notes = folder / NOTES
    return notes.read_text().splitlines() if notes.exists() else []
