"""Removes what pods leave on the host when their cluster ends, even abruptly: processes, mounts, groups.

Only what bears the cluster's own marks is touched: its control group, its state folder.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from devcluster.command import run_unchecked
from devcluster.embedded.settings import EmbeddedSettings

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MOUNTS = Path("/proc/self/mountinfo")


def end_pods(settings: EmbeddedSettings) -> None:
    """End the shims of our containerd and every process of our control group, then unmount."""
    for pid in (*shim_processes(settings), *group_processes(settings)):
        _kill(pid)
    deadline = time.monotonic() + 5
    while any(group_processes(settings)) and time.monotonic() < deadline:
        time.sleep(0.05)
    unmount_all(settings.state)


def shim_processes(settings: EmbeddedSettings) -> list[int]:
    """Return the shims that serve our containerd's socket."""
    marker = str(settings.containerd_socket).encode()
    return [pid for pid, words in _command_lines() if b"containerd-shim" in words[0] and marker in words]


def _command_lines() -> Iterator[tuple[int, list[bytes]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            yield int(entry.name), words


def group_roots(settings: EmbeddedSettings) -> list[Path]:
    """Return our control group in every hierarchy (one with version 2, many with version 1)."""
    candidates = (CONTROL_GROUPS / settings.cgroup, *CONTROL_GROUPS.glob(f"*/{settings.cgroup}"))
    return [path for path in candidates if path.is_dir()]


def group_processes(settings: EmbeddedSettings) -> set[int]:
    """Return every process below our control group."""
    found: set[int] = set()
    for root in group_roots(settings):
        for path in root.rglob("cgroup.procs"):
            try:
                found.update(int(line) for line in path.read_text().split())
            except OSError:
                continue
    return found


def make_groups(settings: EmbeddedSettings) -> None:
    """Make our control group in every hierarchy, as the kubelet expects to find it."""
    unified = CONTROL_GROUPS / "cgroup.controllers"
    if unified.exists():
        wanted = " ".join(f"+{name}" for name in unified.read_text().split())
        (CONTROL_GROUPS / "cgroup.subtree_control").write_text(wanted)
        (CONTROL_GROUPS / settings.cgroup).mkdir(exist_ok=True)
        (CONTROL_GROUPS / settings.cgroup / "cgroup.subtree_control").write_text(wanted)
        return
    for hierarchy in CONTROL_GROUPS.iterdir():
        if hierarchy.is_dir() and not hierarchy.is_symlink():
            (hierarchy / settings.cgroup).mkdir(exist_ok=True)
    _copy_cpuset(settings)


def _copy_cpuset(settings: EmbeddedSettings) -> None:
    """Give our group the root's processors: with version 1 a new cpuset is empty and admits no process."""
    root = CONTROL_GROUPS / "cpuset"
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (root / name).exists():
            (root / settings.cgroup / name).write_text((root / name).read_text())


def remove_groups(settings: EmbeddedSettings) -> None:
    """Remove our control group and all below it; deepest first, as the kernel demands."""
    for root in group_roots(settings):
        below = sorted((path for path in root.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
        for path in (*below, root):
            try:
                path.rmdir()
            except OSError:
                continue


def unmount_all(folder: Path) -> None:
    """Unmount everything mounted below a folder, innermost first."""
    lines = MOUNTS.read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    inside = [point for point in points if point.startswith(f"{folder}/")]
    for point in sorted(inside, key=len, reverse=True):
        run_unchecked(["umount", "--lazy", point])


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
