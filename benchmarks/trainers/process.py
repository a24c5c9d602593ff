"""Runs one contestant's process: its steps as they end, its memory, its time to the first step."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

POLL_SECONDS = 0.02
TIMEOUT_SECONDS = 1200.0
LOG_TAIL = 600


class Ended(NamedTuple):
    """What the operating system says about a finished process."""

    exit_code: int
    peak_rss_bytes: int
    started_at: float
    """Unix time just before it was started."""
    seconds: float


class ContestantError(Exception):
    """A contestant's process failed; the message is the end of its log."""


def run_process(
    command: Sequence[str | Path],
    *,
    log: Path,
    threads: int,
    variables: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Ended:
    """Runs a command to its end, output in `log`, with `variables` on top of this process's environment.

    Raises:
        ContestantError: it ended with another code than 0, or took too long.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        # as ours does: where the processor is shared, threads that wait by spinning slow everybody down
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(["trainer", "."]),
        "PYTHONWARNINGS": "ignore",
        **(variables or {}),
    }
    started = time.time()
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        killer = threading.Timer(timeout, process.kill)
        killer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            killer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)  # wait4 has reaped it, Popen must not try again
    ended = Ended(process.returncode, usage.ru_maxrss * 1024, started, time.time() - started)
    if ended.exit_code != 0:
        tail = log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:].strip()
        what = f"killed after {timeout:.0f} s" if ended.seconds >= timeout else f"exit code {ended.exit_code}"
        raise ContestantError(f"{what}: {tail}")
    return ended


class LineWatcher:
    """Notes when each line of a growing JSON Lines file appears; the process needs no change for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stop = threading.Event()
        self._lines: list[dict[str, Any]] = []
        self._read_bytes = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "LineWatcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines so far, each with its `time`."""
        return self._lines

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._read()
        self._read()

    def _read(self) -> None:
        if not self._path.exists() or self._path.stat().st_size == self._read_bytes:
            return
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            for line in file.read().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    self._lines.append(json.loads(line) | {"time": time.time()})
                    self._read_bytes += len(line)
