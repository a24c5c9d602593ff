"""Looks at free disk before something big begins."""

import shutil
from pathlib import Path

from devcluster.errors import MissingRequirementError

GIGABYTE = 1_000_000_000
HINT = "free some disk, or point XDG_CACHE_HOME and XDG_STATE_HOME at a larger file system"


def require_free(folder: Path, gigabytes: float, *, hint: str = HINT) -> None:
    """Raise unless the file system of `folder` has that much room."""
    free = shutil.disk_usage(nearest_existing(folder)).free / GIGABYTE
    if free < gigabytes:
        raise MissingRequirementError(
            f"{folder} has {free:.1f} GB free and this needs {gigabytes:.0f} GB",
            hint=hint,
        )


def nearest_existing(folder: Path) -> Path:
    """Return the folder or its nearest parent that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())
