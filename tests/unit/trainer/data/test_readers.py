"""Rows of every kind of file, and what is said about damaged ones."""

from pathlib import Path
from typing import Any

import pytest

from llmfinetune_trainer.data.readers import Row, read_rows
from llmfinetune_trainer.errors import RunError


def rows_of(directory: Path, name: str, content: bytes) -> list[Row]:
    path = directory / name
    path.write_bytes(content)
    return list(read_rows([path]))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        pytest.param("a.json", b'[{"x": "1"}, {"x": "2"}]', ["1", "2"], id="JSON array"),
        pytest.param("a.json", b'{"x": "1"}\n{"x": "2"}\n', ["1", "2"], id="JSON Lines called .json"),
        pytest.param("a.json", b'\xef\xbb\xbf[{"x": "1"}]', ["1"], id="byte order mark"),
        pytest.param("a.jsonl", b'{"x": "1"}\n\n{"x": "2"}', ["1", "2"], id="JSON Lines with an empty line"),
        pytest.param("a.csv", b'x,y\n"1, or\ntwo",3\n', ["1, or\ntwo"], id="CSV with a quoted line break"),
        pytest.param("a.tsv", b"x\ty\n1\t2\n", ["1"], id="tab-separated"),
        pytest.param("data", b'[{"x": "1"}]', ["1"], id="JSON by content"),
        pytest.param("a.jsonl", '{"x": "答え"}'.encode(), ["答え"], id="not only ASCII"),
    ],
)
def test_rows(tmp_path: Path, name: str, content: bytes, expected: list[str]) -> None:
    assert [row.values["x"] for row in rows_of(tmp_path, name, content)] == expected


def test_text_is_cut_at_blank_lines(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "a.txt", b"one\nstill one\n\n\ntwo\n")
    assert rows == [
        Row("a.txt line 1", {"text": "one\nstill one"}),
        Row("a.txt line 5", {"text": "two"}),
    ]


def test_parquet_rows_keep_nested_messages(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    values: list[dict[str, Any]] = [{"messages": [{"role": "user", "content": "hi"}]}, {"messages": []}]
    parquet.write_table(pyarrow.Table.from_pylist(values), tmp_path / "a.parquet")
    assert list(read_rows([tmp_path / "a.parquet"])) == [
        Row("a.parquet row 1", values[0]),
        Row("a.parquet row 2", values[1]),
    ]


def test_arrow_rows_are_those_that_datasets_saved(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    values = [{"messages": [{"role": "user", "content": "hi"}]}, {"messages": []}]
    datasets.Dataset.from_list(values).save_to_disk(str(tmp_path))
    (file,) = tmp_path.glob("*.arrow")
    assert list(read_rows([file])) == [
        Row(f"{file.name} row 1", values[0]),
        Row(f"{file.name} row 2", values[1]),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("a.json", b'[{"x": 1},', "a.json is not valid JSON", id="cut JSON"),
        pytest.param("a.json", b'{"data": []}', "holds one dict, not a list of rows", id="one object"),
        pytest.param("a.json", b'["text"]', "a.json row 1 holds str", id="a row that is no object"),
        pytest.param(
            "a.jsonl", b'{"x": 1}\n{"x": \n', "a.jsonl line 2 is not valid JSON", id="a broken line"
        ),
        pytest.param(
            "a.csv", b"x,y\n1,2\n3\n", "a.csv line 3 has not the header's 2 fields", id="too few fields"
        ),
        pytest.param(
            "a.csv", b"x\n1,2\n", "a.csv line 2 has not the header's 1 fields", id="too many fields"
        ),
        pytest.param("a.jsonl", b'{"x": "\xe4"}\n', "a.jsonl line 1 is not UTF-8", id="Latin-1"),
        pytest.param(
            "a.txt", b"good\n\nb\xff\n", "a.txt line 3 is not UTF-8 \\(byte 0xff\\)", id="late bad byte"
        ),
        pytest.param("a.parquet", b"PAR1 no", "a.parquet is not a valid Parquet file", id="broken Parquet"),
        pytest.param("a.arrow", b"ARROW1 no", "a.arrow is not a valid Arrow file", id="broken Arrow"),
        pytest.param("a.bin", b"\0\1", "a.bin is of no known kind", id="unknown kind"),
    ],
)
def test_damaged_files_are_named_with_the_place(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(RunError, match=message) as raised:
        rows_of(tmp_path, name, content)
    assert raised.value.failure.category == "Data"
    assert raised.value.failure.hint
