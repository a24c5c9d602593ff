"""What the container may use, from the files of its control group (version 1 and 2)."""

import math
import os
from collections.abc import Callable
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")

_NO_LIMIT = 1 << 60
"""Version 1 says "no limit" by a number that no machine has."""

Read = Callable[[str], str | None]
"""Contents of a file below the control group's root; None where it is absent."""


def cpu_limit(read: Read) -> float | None:
    """Processors that the container may use; None where it has no limit."""
    if (text := read("cpu.max")) is not None:
        quota, _, period = text.strip().partition(" ")
        return None if quota == "max" else int(quota) / int(period or "100000")
    quota_text, period_text = read("cpu/cpu.cfs_quota_us"), read("cpu/cpu.cfs_period_us")
    if quota_text is None or period_text is None or int(quota_text) <= 0:
        return None
    return int(quota_text) / int(period_text)


def memory_limit(read: Read) -> int | None:
    """Bytes that the container may use; None where it has no limit."""
    text = (read("memory.max") or read("memory/memory.limit_in_bytes") or "max").strip()
    return int(text) if text != "max" and int(text) < _NO_LIMIT else None


def num_threads(*, limit: float | None, num_usable: int) -> int:
    """OpenMP threads: the limit rounded up, never more than the processors that the scheduler would give."""
    return num_usable if limit is None else max(1, min(num_usable, math.ceil(limit)))


def own_threads() -> int:
    """OpenMP threads for this process's container."""
    return num_threads(limit=cpu_limit(read_file), num_usable=len(os.sched_getaffinity(0)))


def num_oom_kills(read: Read) -> int:
    """Processes of the container that the kernel killed because the memory limit was reached."""
    text = read("memory.events") or read("memory/memory.oom_control") or ""
    counts = dict(line.split()[:2] for line in text.splitlines() if len(line.split()) >= 2)
    return int(counts.get("oom_kill", "0"))


def read_file(name: str) -> str | None:
    """Reads a file of this process's control group."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except OSError:
        return None
