"""Removes what pods leave on the host when their cluster ends, even abruptly: processes, mounts, groups.

Only what bears the cluster's own marks is touched: its control group, its state folder.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from devcluster.command import run_unchecked
from devcluster.embedded.settings import Node
from devcluster.errors import DevClusterError

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MOUNTS = Path("/proc/self/mountinfo")


def end_pods(node: Node) -> None:
    """End the shims of a node's containerd and every process of its control group, then unmount."""
    for pid in (*shim_processes(node), *group_processes(node)):
        _kill(pid)
    deadline = time.monotonic() + 5
    while any(group_processes(node)) and time.monotonic() < deadline:
        time.sleep(0.05)
    unmount_all(node.folder)


def shim_processes(node: Node) -> list[int]:
    """Return the shims that serve the node's containerd."""
    marker = str(node.containerd_socket).encode()
    return [pid for pid, words in _command_lines() if b"containerd-shim" in words[0] and marker in words]


def _command_lines() -> Iterator[tuple[int, list[bytes]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            yield int(entry.name), words


def group_roots(cgroup: str) -> list[Path]:
    """Return a control group in every hierarchy (one with version 2, many with version 1)."""
    candidates = (CONTROL_GROUPS / cgroup, *CONTROL_GROUPS.glob(f"*/{cgroup}"))
    return [path for path in candidates if path.is_dir()]


def group_processes(node: Node) -> set[int]:
    """Return every process below a node's control group."""
    found: set[int] = set()
    for root in group_roots(node.cgroup):
        for path in root.rglob("cgroup.procs"):
            try:
                found.update(int(line) for line in path.read_text().split())
            except OSError:
                continue
    return found


def make_groups(node: Node) -> None:
    """Make the node's control group and its parent in every hierarchy, as the kubelet expects."""
    levels = [Path(), *reversed(Path(node.cgroup).parents[:-1]), Path(node.cgroup)]
    unified = CONTROL_GROUPS / "cgroup.controllers"
    if unified.exists():
        wanted = " ".join(f"+{name}" for name in unified.read_text().split())
        for level in levels:
            _make_unified(CONTROL_GROUPS / level, wanted)
        return
    for hierarchy in CONTROL_GROUPS.iterdir():
        if hierarchy.is_dir() and not hierarchy.is_symlink():
            (hierarchy / node.cgroup).mkdir(parents=True, exist_ok=True)
    for level in levels[1:]:
        _copy_cpuset(level)


def _make_unified(group: Path, wanted: str) -> None:
    """Make a group of version 2 and hand controllers on to the groups below it."""
    try:
        group.mkdir(exist_ok=True)
        (group / "cgroup.subtree_control").write_text(wanted)
    except OSError as error:
        raise DevClusterError(
            f"cannot make control groups for pods in {group}: {error.strerror}",
            hint="in a container, only the host's own control groups will do (docker run --privileged "
            "--cgroupns=host); or use --provider kind",
        ) from error


def _copy_cpuset(group: Path) -> None:
    """Give a group the root's processors: with version 1 a new cpuset is empty and admits no process."""
    root = CONTROL_GROUPS / "cpuset"
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (root / name).exists():
            (root / group / name).write_text((root / name).read_text())


def remove_groups(cgroup: str) -> None:
    """Remove a control group and all below it; deepest first, as the kernel demands."""
    for root in group_roots(cgroup):
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
