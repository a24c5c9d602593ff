"""From records to rows, and into the documentation; and how samples are counted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.record import RECORDS, SEED, Record, read_records, record
from tests.chaos.table import BEGIN, END, Row, markdown, percentile, put_between_marks, rows
from tests.e2e.history import BATCH_SIZE, Samples, count_samples, fingerprint


def test_records_come_back_as_they_were_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records"
    monkeypatch.setenv(RECORDS, str(path))
    monkeypatch.setenv(SEED, "7")
    noted = [Record(fault="a", survived=True, recovery_s=1.5), Record(fault="b", survived=False, why="late")]
    for each in noted:
        record(each)
    assert read_records(path) == [replace(each, seed=7, number=n) for n, each in enumerate(noted, start=1)]


def test_nothing_is_noted_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RECORDS, raising=False)
    record(Record(fault="a", survived=True))


def test_a_row_counts_every_injection() -> None:
    noted = [
        Record(fault="a", survived=True, recovery_s=4.0),
        Record(fault="b", survived=True, injected=7),
        Record(fault="a", survived=False, samples_lost=8, samples_repeated=0, why="late"),
        Record(fault="a", survived=True, recovery_s=2.0),
    ]
    assert rows(noted, wanted={}) == [
        Row("a", 3, 0, 2, 2.0, 4.0, 8, 0, ("late",)),
        Row("b", 7, 0, 7, None, None, None, None),
    ]


def test_what_was_chosen_and_not_injected_is_a_row() -> None:
    noted = [Record(fault="a", survived=True), Record(fault="b", survived=True)]
    table = rows(noted, wanted={"c": 2, "b": 3, "a": 1})
    assert [(row.fault, row.injected, row.missed) for row in table] == [
        ("a", 1, 0),
        ("b", 1, 2),
        ("c", 0, 2),
    ]


SOUND = Row("a", 1, 0, 1, 2.0, 2.0, 0, 0)


@pytest.mark.parametrize(
    ("row", "is_sound"),
    [
        pytest.param(SOUND, True, id="injected and survived"),
        pytest.param(SOUND._replace(samples_lost=None, samples_repeated=None), True, id="nothing to count"),
        pytest.param(SOUND._replace(injected=2), False, id="one of two survived"),
        pytest.param(SOUND._replace(missed=1), False, id="injected less often than chosen"),
        pytest.param(SOUND._replace(injected=0, survived=0, missed=1), False, id="never injected"),
        pytest.param(SOUND._replace(samples_lost=8), False, id="samples lost"),
        pytest.param(SOUND._replace(samples_repeated=8), False, id="samples repeated"),
    ],
)
def test_what_a_row_proves(row: Row, is_sound: bool) -> None:
    assert row.is_sound is is_sound


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param([], 0.5, None, id="of nothing, none"),
        pytest.param([3.0], 0.95, 3.0, id="of one, that one"),
        pytest.param([float(n) for n in range(1, 21)], 0.95, 19.0, id="of twenty, the nineteenth"),
        pytest.param([2.0, 1.0], 0.5, 1.0, id="order does not matter"),
    ],
)
def test_percentile(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_the_table_stands_between_its_marks_and_can_be_replaced() -> None:
    table = markdown([SOUND, Row("b", 1, 2, 0, None, None, None, None, ("took\n31 s",))])
    page = put_between_marks(f"before\n{BEGIN}\nold\n{END}\nafter\n", table)
    assert put_between_marks(page, table) == page
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "| a | 1 | 1 | 2.0 | 2.0 | 0 | 0 |" in page
    assert "| b | 1 of 3 | 0 | - | - | - | - |\n\n- b: took 31 s\n" in page


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="chaos:begin"):
        put_between_marks("nothing", "table")


def history(*steps: int) -> str:
    lines = ({"step": s, "cursor": s * BATCH_SIZE, "samples": fingerprint(s)} for s in steps)
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(history(1, 2, 3), Samples(0, 0), id="every step once"),
        pytest.param(history(1, 3), Samples(BATCH_SIZE, 0), id="a step left out"),
        pytest.param(history(1, 2, 2, 3), Samples(0, BATCH_SIZE), id="a step twice"),
        pytest.param(
            history(1, 2, 3).replace(fingerprint(2), fingerprint(9)),
            Samples(BATCH_SIZE, BATCH_SIZE),
            id="a step with another one's samples",
        ),
        pytest.param(
            history(1, 2, 3) + json.dumps({"step": 3, "evalLoss": 1.0}), Samples(0, 0), id="evaluations"
        ),
    ],
)
def test_samples_that_count_other_than_once(found: str, expected: Samples) -> None:
    assert count_samples(found, steps=3) == expected
