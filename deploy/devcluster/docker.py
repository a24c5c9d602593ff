"""Whether Docker is here."""

import shutil

from devcluster.command import run_unchecked


def docker_answers() -> bool:
    """Say whether a Docker daemon is really there; the command alone is not enough."""
    if shutil.which("docker") is None:
        return False
    return run_unchecked(["docker", "info", "--format", "{{.ServerVersion}}"], timeout=15).returncode == 0
