"""Which commands made a table: each notes itself, for the table may be made in several runs."""

import json
import os
import platform
import shlex
from collections.abc import Sequence
from pathlib import Path


def note_run(path: Path, arguments: Sequence[str], *, seconds: float) -> None:
    """Appends what was run, how long that took, and on what."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    run = {
        "command": shlex.join(["python", "-m", "tests.chaos", *arguments]),
        "minutes": round(seconds / 60, 1),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, load averages at the end {load}",
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


def told(path: Path) -> str:
    """Every run so far, as a list in Markdown."""
    runs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [f"- `{run['command']}`: {run['minutes']} minutes on {run['machine']}" for run in runs]
    return "\n".join(["Made by:", "", *lines])
