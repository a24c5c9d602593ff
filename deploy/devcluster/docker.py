"""Asks Docker: whether it is here, what it has, and how much room there is where it keeps things."""

import shutil
from pathlib import Path

from devcluster.command import run, run_unchecked
from devcluster.disk import GIGABYTE, require_free

ROOM_HINT = "`docker system prune` frees some; Docker's setting `data-root` names another file system"


def docker_answers() -> bool:
    """Say whether a Docker daemon is really there; the command alone is not enough."""
    if shutil.which("docker") is None:
        return False
    return run_unchecked(["docker", "info", "--format", "{{.ServerVersion}}"], timeout=15).returncode == 0


def has_image(name: str) -> bool:
    """Say whether the daemon has an image of that name."""
    return run_unchecked(["docker", "image", "inspect", name]).returncode == 0


def image_gigabytes(name: str) -> float:
    """Return the size of an image that the daemon has."""
    return int(run(["docker", "image", "inspect", "--format", "{{.Size}}", name])) / GIGABYTE


def require_room(gigabytes: float) -> None:
    """Raise unless Docker's data root has that much room; one on another machine cannot be looked at."""
    root = run(["docker", "info", "--format", "{{.DockerRootDir}}"]).strip()
    if root and Path(root).exists():
        require_free(Path(root), gigabytes, hint=ROOM_HINT)
