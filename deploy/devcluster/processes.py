"""Starts long-running programs and ends them, and only them.

A process is known by its id *and* its start time, so that an id which the kernel has given to
somebody else since is never signalled. Detached processes outlive this command and leave a record;
tied ones end with the process that started them, even if that one is killed.
"""

import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 3.0
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Process:
    """A running program as the kernel knows it."""

    name: str
    pid: int
    start_time: int
    """Clock ticks after boot, the 22nd field of /proc/PID/stat."""

    def is_alive(self) -> bool:
        """Say whether this very process still runs."""
        return start_time_of(self.pid) == self.start_time

    def stop(self, *, timeout: float = STOP_SECONDS) -> None:
        """Ask it to end, and insist when it does not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self._signal(number) or self._wait(timeout):
                return

    def kill(self) -> None:
        """End it at once, for a process whose data nobody needs any more."""
        if self._signal(signal.SIGKILL):
            self._wait(STOP_SECONDS)

    def _signal(self, number: signal.Signals) -> bool:
        if not self.is_alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def _wait(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.is_alive():
            reap(self.pid)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def start_time_of(pid: int) -> int | None:
    """Return when the process started, or None when it has ended (a zombie has)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def reap(pid: int) -> None:
    """Collect the exit status if the process was our child."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def end_with_parent() -> None:
    """Ask the kernel to end this process when the thread that started it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    tied: bool = False,
    before: Callable[[], None] = lambda: None,
) -> Process:
    """Start a program in a session of its own with its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)

    def prepare() -> None:
        if tied:
            end_with_parent()
        before()

    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=prepare,
            cwd="/",
        )
    # The handle is not kept: whoever stops the process reaps it by its id.
    child.returncode = 0
    return Process(name, child.pid, start_time_of(child.pid) or 0)


class Registry:
    """The detached processes of one cluster, one record file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def record(self, process: Process) -> None:
        """Remember a process for a later command."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{process.name}.json").write_text(json.dumps(asdict(process)))

    def find(self, name: str) -> Process | None:
        """Return the process of that name if it still runs."""
        try:
            process = Process(**json.loads((self._folder / f"{name}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return process if process.is_alive() else None

    def all_running(self) -> list[Process]:
        """Return every recorded process that still runs."""
        found = (self.find(path.stem) for path in sorted(self._folder.glob("*.json")))
        return [process for process in found if process is not None]

    def kill(self, name: str) -> None:
        """End the process of that name with no time for anything."""
        process = self.find(name)
        if process is not None:
            process.kill()
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def stop(self, name: str) -> bool:
        """End the process of that name; say whether there was one."""
        process = self.find(name)
        if process is not None:
            process.stop()
        (self._folder / f"{name}.json").unlink(missing_ok=True)
        return process is not None
