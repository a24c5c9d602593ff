"""The split into training and held-out rows, and samples as they are read back."""

from pathlib import Path

import numpy as np
import pytest

from llmfinetune_trainer.data.encode import Sample
from llmfinetune_trainer.data.writer import SampleWriter, held_out_rows


@pytest.mark.parametrize(
    ("num_rows", "fraction", "held_out"),
    [
        pytest.param(100, 0.05, 5, id="the fraction"),
        pytest.param(100, 0.0, 0, id="none"),
        pytest.param(3, 0.05, 1, id="at least one if any is wanted"),
        pytest.param(1, 0.5, 0, id="never the last row"),
        pytest.param(2, 0.5, 1, id="half of two"),
    ],
)
def test_how_many_rows_are_held_out(num_rows: int, fraction: float, held_out: int) -> None:
    assert held_out_rows(num_rows, fraction=fraction, seed=1).sum() == held_out


def test_which_rows_are_held_out_depends_on_the_seed_alone() -> None:
    first, again, other = (held_out_rows(1000, fraction=0.1, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def sample(*ids: int) -> Sample:
    return Sample(np.asarray(ids, dtype=np.int32), np.asarray([False, *[True] * (len(ids) - 1)]))


def test_windows_of_one_document_stay_on_one_side_of_the_split(tmp_path: Path) -> None:
    with SampleWriter(tmp_path) as writer:
        for row in range(10):
            writer.add_row((sample(row, 1, 2), sample(row, 3)))
        facts = writer.finish(fraction=0.3, seed=5)
    held_out = np.load(tmp_path / "validation.npy")
    assert facts["validation"]._asdict() == {"rows": 3, "tokens": 15, "supervised": 9}
    assert facts["train"]._asdict() == {"rows": 7, "tokens": 35, "supervised": 21}
    assert len(set(held_out // 2)) == 3
