"""Each contestant's own Python environment below `build/bench/envs`, as its requirement file locks it."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
ENVS = Path("build/bench/envs")


def find_uv() -> str:
    """The uv of the project's tools, `$UV`, or one on PATH.

    Raises:
        FileNotFoundError: there is none.
    """
    project = Path("build/tools/bin/uv")
    found = os.environ.get("UV") or (str(project) if project.exists() else shutil.which("uv"))
    if found is None:
        raise FileNotFoundError("uv is not installed: run `make venv`, or set UV to its path")
    return found


def ensure_environment(name: str) -> Path:
    """Makes the environment where it is missing or older than its requirements; returns its Python.

    Raises:
        subprocess.CalledProcessError: a package could not be installed.
    """
    directory, requirements = ENVS / name, REQUIREMENTS / f"{name}.txt"
    python = (directory / "bin" / "python").absolute()
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = directory / ".requirements"
    if stamp.exists() and stamp.read_text() == digest:
        return python
    print(
        f"environment {name}: installing locked packages (several GB on disk, shared with uv's cache)",
        flush=True,
    )
    uv = find_uv()
    venv = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(directory)]
    subprocess.run(venv, check=True)
    sync = [uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(requirements)]
    subprocess.run(sync, check=True)
    stamp.write_text(digest)
    return python
