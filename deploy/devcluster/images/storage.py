"""buildah with a storage of its own, and the base image that both Dockerfiles start from.

The base is made by debootstrap and committed under the very name that the Dockerfiles use, so that they build
unchanged where a registry is reachable and where none is.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.command import run, run_unchecked
from devcluster.embedded.cleanup import unmount_all
from devcluster.errors import MissingRequirementError
from devcluster.layout import Layout
from devcluster.packages import BUILDAH, DEBOOTSTRAP, IMAGE_BUILD, ensure_packages
from devcluster.progress import Progress

BASE = "docker.io/library/python:3.11-slim-bookworm"
SUITE = "bookworm"
INCLUDED = ("python3", "python3-venv", "python3-pip", "ca-certificates")
LEFT_OUT = ("var/cache/apt/archives", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man")


@dataclass(frozen=True, slots=True)
class Storage:
    """The image builder's storage below the cache folder."""

    layout: Layout

    def buildah(
        self, *arguments: str | Path, log: Path | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        """Run buildah on this storage."""
        return run(self._command(arguments), log=log, env={"BUILDAH_ISOLATION": "chroot", **(env or {})})

    def has_image(self, name: str) -> bool:
        """Say whether the storage has an image of that name."""
        return run_unchecked(self._command(("inspect", "--type", "image", name))).returncode == 0

    def remove_leftovers(self) -> None:
        """Remove containers and mounts of a build that ended abruptly."""
        self.buildah("rm", "--all")
        unmount_all(self.layout.images / "storage")

    def prune(self) -> None:
        """Remove layers that no named image is made of."""
        self.buildah("rmi", "--prune")

    def ensure_base(self, progress: Progress) -> None:
        """Make the base image unless it is there."""
        ensure_packages(IMAGE_BUILD)
        if self.has_image(BASE):
            return
        with progress.step("making the Debian base image, about 70 s"):
            self._commit_base(self._bootstrap())

    def _bootstrap(self) -> Path:
        root = self.layout.images / "base"
        if root.exists():
            shutil.rmtree(root)
        root.mkdir(parents=True)
        program = DEBOOTSTRAP.path()
        if program is None:
            raise MissingRequirementError("debootstrap is missing", hint="apt-get install debootstrap")
        included = ",".join(INCLUDED)
        run(
            [program, "--variant=minbase", f"--include={included}", SUITE, root],
            log=self.layout.images / "debootstrap.log",
        )
        return root

    def _commit_base(self, root: Path) -> None:
        for folder in LEFT_OUT:
            empty(root / folder)
        container = self.buildah("from", "scratch").strip()
        try:
            self.buildah("copy", "--quiet", container, root, "/")
            self.buildah("config", "--env", "LANG=C.UTF-8", "--cmd", "python3", container)
            self.buildah("commit", "--quiet", container, BASE)
        finally:
            self.buildah("rm", container)
        shutil.rmtree(root)

    def _command(self, arguments: Sequence[str | Path]) -> list[str | Path]:
        root = self.layout.images
        where = ("--root", root / "storage", "--runroot", root / "run", "--storage-driver", "overlay")
        # A mount of its own over the storage would keep layers from being linked to a node's.
        options = ("--storage-opt", "overlay.skip_mount_home=true")
        return [BUILDAH.path() or "buildah", *where, *options, *arguments]


def empty(folder: Path) -> None:
    """Remove what a folder holds, keeping it."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
