"""The files of a data set: which ones, where they lie, and the digest of what is in them."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from llmfinetune_trainer.config.run import DatasetConfig
from llmfinetune_trainer.config.source import parse_source
from llmfinetune_trainer.errors import RunError, data_error
from llmfinetune_trainer.sources import hub
from llmfinetune_trainer.sources.context import FetchContext
from llmfinetune_trainer.sources.digest import digest_files
from llmfinetune_trainer.sources.https import download
from llmfinetune_trainer.sources.local import local_path

SUFFIXES: Final = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".txt", ".text")
"""What counts as data in a directory or repository."""
_NOT_DATA: Final = re.compile(
    r"(^|/)(\.|README|LICENSE|cache-\w+\.arrow$|(dataset_(infos?|dict)|state)\.json$)", re.IGNORECASE
)
"""What the library `datasets` writes beside data counts as none."""
_TRAIN: Final = re.compile(r"(^|[/_.-])train(ing)?([/_.-]|$)", re.IGNORECASE)


class DataFiles(NamedTuple):
    """Files of a data set, in order, and the digest over their names and contents."""

    paths: tuple[Path, ...]
    digest: str


def fetch_data(dataset: DatasetConfig, context: FetchContext) -> DataFiles:
    """Gets the files of a data set to this machine.

    Raises:
        RunError: they cannot be had, or it is not clear which files are meant.
    """
    source = parse_source(dataset.source)
    match source.scheme:
        case "hf":
            found = hub.resolve(source.name, dataset.revision, "dataset", context)
            names = choose_files(found.files, path=source.path, where=dataset.source)
            root = hub.fetch(found, names, context)
            files = {name: root / name for name in names}
        case "https":
            path = download(source, "dataset", context)
            files = {path.name: path}
        case _:
            files = files_below(local_path(source, "dataset", context), where=dataset.source)
    return DataFiles(tuple(files.values()), digest_files(files))


def files_below(path: Path, *, where: str) -> dict[str, Path]:
    """A file itself, or the data files of a directory by their names in it."""
    if not path.is_dir():
        return {path.name: path}
    below = sorted(str(entry.relative_to(path)) for entry in path.rglob("*") if entry.is_file())
    return {name: path / name for name in choose_files(below, path="", where=where)}


def choose_files(names: Sequence[str], *, path: str, where: str) -> list[str]:
    """Which files of a directory or repository are the training data.

    Those below `path`, where it is given; else those that `train` in their names marks; else all of one kind
    in one directory.

    Raises:
        RunError: none is data, or several could be meant; the message lists them.
    """
    if path in names:
        return [path]
    prefix = f"{path.rstrip('/')}/" if path else ""
    data = [name for name in names if name.startswith(prefix) and _is_data(name)]
    if not data:
        raise _none(names, path, where)
    marked = [name for name in data if _TRAIN.search(name.removeprefix(prefix))]
    chosen = marked or data
    if len({(PurePosixPath(name).parent, PurePosixPath(name).suffix) for name in chosen}) > 1:
        raise _several(chosen, where)
    return sorted(chosen)


def _is_data(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not _NOT_DATA.search(name)


def _none(names: Sequence[str], path: str, where: str) -> RunError:
    what = f"no file {path!r} and no data below it" if path else "no data file"
    return data_error(
        "DataNotFound",
        f"{where} has {what}; files there: {_listed(names)}",
        hint=f"name a file in spec.dataset.source; kinds of data are {', '.join(SUFFIXES)}",
    )


def _several(names: Sequence[str], where: str) -> RunError:
    return data_error(
        "DataAmbiguous",
        f"{where} has several data sets: {_listed(names)}",
        hint="append the file or directory that is meant to spec.dataset.source",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "") or "(none)"
