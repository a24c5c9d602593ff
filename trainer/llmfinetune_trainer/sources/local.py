"""Sources on mounted volumes and on the local machine."""

import os
from pathlib import Path

from llmfinetune_trainer.config.source import Source
from llmfinetune_trainer.errors import volume_error
from llmfinetune_trainer.sources.context import FetchContext, Kind, access_error


def local_path(source: Source, kind: Kind, context: FetchContext) -> Path:
    """The file or directory that a pvc, configMap or local source names.

    Raises:
        RunError: the volume is not mounted, or has nothing of that name; the message says what is there.
    """
    path = _location(source, kind, context)
    if not path.exists():
        raise access_error(
            kind,
            "SourceNotFound",
            f"{path} does not exist{_siblings(path)}",
            hint=f"correct spec.{kind}.source",
        )
    if not os.access(path, os.R_OK):
        raise volume_error(
            "PermissionDenied", f"{path} cannot be read", hint="make it readable for this user"
        )
    return path


def _location(source: Source, kind: Kind, context: FetchContext) -> Path:
    if source.scheme == "file":
        return Path(source.path).expanduser()
    folder = "claims" if source.scheme == "pvc" else "configmaps"
    volume = context.sources / folder / source.name
    if not volume.is_dir():
        what = "claim" if source.scheme == "pvc" else "ConfigMap"
        raise volume_error(
            "SourceNotMounted",
            f"{what} {source.name!r} of spec.{kind}.source is not mounted at {volume}",
            hint=f"create the {what}; outside a cluster put its files there, or name a local path instead",
        )
    return volume / source.path


def _siblings(path: Path) -> str:
    parent = next(parent for parent in path.parents if parent.exists())
    if not parent.is_dir():
        return f"; {parent} is a file"
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    listed = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    return f"; {parent} holds {listed or 'nothing'}"
