"""Rows of data files of every kind, each with the place it came from, for messages."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from llmfinetune_trainer.errors import RunError, data_error

CSV_FIELD_LIMIT: Final = 1 << 30


class Row(NamedTuple):
    """One row: `place` says where it stands, `values` maps columns to what is in them."""

    place: str
    values: dict[str, Any]


def read_rows(files: Iterable[Path]) -> Iterator[Row]:
    """Rows of all files, in order; only a JSON array is read as a whole.

    Raises:
        RunError: a file is of no known kind, damaged or not UTF-8; the message names file and line.
    """
    for path in files:
        reader = READERS.get(path.suffix.lower()) or _by_content(path)
        try:
            yield from reader(path)
        except UnicodeDecodeError as error:
            raise _not_utf8(path, error) from None


def _json(path: Path) -> Iterator[Row]:
    text = path.read_text(encoding="utf-8-sig")
    if text.lstrip()[:1] == "{" and "\n" in text.strip():
        return _json_lines(path)
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise _damaged(f"{path.name} is not valid JSON: {error}") from None
    if not isinstance(rows, list):
        kind = type(rows).__name__
        raise _damaged(f"{path.name} holds one {kind}, not a list of rows; put the rows into a JSON array")
    return (_row(f"{path.name} row {number}", values) for number, values in enumerate(rows, start=1))


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _row(f"{path.name} line {number}", _json_line(f"{path.name} line {number}", line))


def _json_line(place: str, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise _damaged(f"{place} is not valid JSON: {error}") from None


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(CSV_FIELD_LIMIT)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
        while True:
            try:
                values = next(reader, None)
            except csv.Error as error:
                raise _damaged(f"{path.name} line {reader.line_num} is not valid CSV: {error}") from None
            if values is None:
                return
            if None in values or None in values.values():
                columns = len(reader.fieldnames or ())
                raise _damaged(f"{path.name} line {reader.line_num} has not the header's {columns} fields")
            yield Row(f"{path.name} line {reader.line_num}", values)


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow  # slow to import, and other kinds of files do without
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(f"{path.name} is not a valid Parquet file: {error}") from None
    number = 0
    for batch in file.iter_batches(batch_size=1024):
        for values in batch.to_pylist():
            number += 1
            yield Row(f"{path.name} row {number}", values)


def _arrow(path: Path) -> Iterator[Row]:
    """One file of what `Dataset.save_to_disk` writes, memory-mapped."""
    import pyarrow  # slow to import, as is what follows, and other kinds of files do without
    from datasets import Dataset

    try:
        rows = Dataset.from_file(str(path))
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(f"{path.name} is not a valid Arrow file: {error}") from None
    for number, values in enumerate(rows, start=1):
        yield Row(f"{path.name} row {number}", values)


def _text(path: Path) -> Iterator[Row]:
    """Documents are separated by blank lines."""
    first, lines = 1, list[str]()
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                first = first if lines else number
                lines.append(line)
            elif lines:
                yield _document(path, first, lines)
                lines = []
    if lines:
        yield _document(path, first, lines)


READERS: Final[dict[str, Callable[[Path], Iterator[Row]]]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".txt": _text,
    ".text": _text,
    ".md": _text,
}
"""Readers by file name suffix."""


def _document(path: Path, first: int, lines: list[str]) -> Row:
    return Row(f"{path.name} line {first}", {"text": "".join(lines).rstrip("\n")})


def _by_content(path: Path) -> Callable[[Path], Iterator[Row]]:
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(b"PAR1"):
        return _parquet
    if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"[", b"{"}:
        return _json
    known = ", ".join(READERS)
    raise data_error(
        "UnknownFileType", f"{path.name} is of no known kind", hint=f"name the data file with one of {known}"
    )


def _row(place: str, values: Any) -> Row:
    if not isinstance(values, dict):
        raise _damaged(f"{place} holds {type(values).__name__}, not an object with columns")
    return Row(place, values)


def _not_utf8(path: Path, error: UnicodeDecodeError) -> RunError:
    line = _line_of_bad_byte(path)
    return data_error(
        "NotUtf8",
        f"{path.name} line {line} is not UTF-8 (byte 0x{error.object[error.start]:02x})",
        hint="convert the file to UTF-8, for example with iconv",
    )


def _line_of_bad_byte(path: Path) -> int:
    with path.open("rb") as file:
        return next(number for number, line in enumerate(file, start=1) if not _is_utf8(line))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _damaged(message: str) -> RunError:
    return data_error(
        "DataUnreadable", message, hint="repair the file, or name another in spec.dataset.source"
    )
