"""Runs other programs: output captured, failures turned into errors that quote what the program said."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from devcluster.errors import DevClusterError, MissingRequirementError

TAIL_LINES = 25
TIMED_OUT = 124
"""Exit code of a program that was killed because its time was up, as coreutils' `timeout` has it."""
NOT_FOUND = 127
"""Exit code of a program that is not there, as a shell has it."""


def find_tool(name: str, *, hint: str) -> Path:
    """Return the path of a program, looking where administrators' tools lie as well."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingRequirementError(absence(name), hint=hint)
    return Path(found)


def absence(name: str) -> str:
    """Return the words for a program that is not there."""
    return f"the program {name!r} is not on this machine"


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
    if result.returncode == NOT_FOUND and result.stderr == absence(result.args[0]):
        raise MissingRequirementError(result.stderr, hint="install it, and put it on PATH")
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
    """Run a program to its end and return what came of it, whatever its exit code.

    One that is not done within `timeout` seconds is killed, which its exit code `TIMED_OUT` says; `NOT_FOUND`
    says that it is not there.
    """
    arguments = [str(part) for part in command]
    with ExitStack() as stack:
        streams: dict[str, Any] = {"capture_output": True}
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            streams = {"stdout": stack.enter_context(log.open("a")), "stderr": subprocess.STDOUT}
        try:
            return subprocess.run(
                arguments,
                input=input_text,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                timeout=timeout,
                text=True,
                check=False,
                **streams,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(arguments, TIMED_OUT, "", f"not done within {timeout} s")
        except FileNotFoundError as error:
            if error.filename != arguments[0]:  # the folder to run it in
                raise
            return subprocess.CompletedProcess(arguments, NOT_FOUND, "", absence(arguments[0]))
