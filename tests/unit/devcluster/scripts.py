"""Runs a few lines of Python in a process of their own that finds the package."""

import os
import subprocess
import sys
from pathlib import Path

import devcluster

SOURCE_ROOT = str(Path(devcluster.__file__).parents[1])


def script(code: str, *arguments: str) -> "subprocess.Popen[str]":
    """Starts the lines; the caller ends the process."""
    environment = {**os.environ, "PYTHONPATH": SOURCE_ROOT}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
