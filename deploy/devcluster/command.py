"""Runs other programs: output captured, failures turned into errors that quote what the program said."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from devcluster.errors import DevClusterError, MissingRequirementError

TAIL_LINES = 25


def find_tool(name: str, *, hint: str) -> Path:
    """Return the path of a program, looking where administrators' tools lie as well."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingRequirementError(f"the program {name!r} is not on this machine", hint=hint)
    return Path(found)


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a program's output."""
    return "\n".join(text.strip().splitlines()[-lines:])


def run(
    command: Sequence[str | Path],
    *,
    input_text: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
    log: Path | None = None,
) -> str:
    """Run a program to its end and return its standard output; raise when it fails.

    With `log`, both streams go to that file as they come, so that a long run can be watched.
    """
    result = run_unchecked(command, input_text=input_text, env=env, cwd=cwd, timeout=timeout, log=log)
    if result.returncode != 0:
        said = tail(log.read_text(errors="replace") if log else result.stderr or result.stdout)
        shown = " ".join(str(part) for part in command)
        hint = f"full output: {log}" if log else ""
        raise DevClusterError(f"`{shown}` failed with exit code {result.returncode}:\n{said}", hint=hint)
    return result.stdout or ""


def run_unchecked(
    command: Sequence[str | Path],
    *,
    input_text: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
    log: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what came of it, whatever its exit code."""
    arguments = [str(part) for part in command]
    environment = {**os.environ, **(env or {})}
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as stream:
            return subprocess.run(
                arguments,
                input=input_text,
                env=environment,
                cwd=cwd,
                timeout=timeout,
                text=True,
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
            )
    return subprocess.run(
        arguments,
        input=input_text,
        env=environment,
        cwd=cwd,
        timeout=timeout,
        text=True,
        capture_output=True,
        check=False,
    )
