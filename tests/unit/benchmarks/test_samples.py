"""Samples: what peers are handed."""

from pathlib import Path

import numpy as np
from benchmarks.trainers.samples import IGNORED, Samples, concatenated, grouped_by_length


def make_samples(*rows: tuple[list[int], list[int]]) -> Samples:
    """Samples of (token ids, 1 where a token carries loss)."""
    return Samples(
        tokens=np.array([token for ids, _ in rows for token in ids], dtype=np.int32),
        targets=np.array([flag for _, mask in rows for flag in mask], dtype=np.bool_),
        offsets=np.cumsum([0, *(len(ids) for ids, _ in rows)]),
    )


THREE = make_samples(([1, 2], [0, 1]), ([3, 4, 5], [0, 0, 1]), ([6, 7, 8, 9], [0, 1, 1, 1]))


def test_labels_hold_only_what_carries_loss() -> None:
    assert THREE.ids(1) == [3, 4, 5]
    assert THREE.labels(1) == [IGNORED, IGNORED, 5]
    assert THREE.lengths.tolist() == [2, 3, 4]
    assert THREE.supervised.tolist() == [1, 1, 3]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    THREE.save(tmp_path / "samples.npz")
    loaded = Samples.load(tmp_path / "samples.npz")
    assert [loaded.ids(row) for row in range(3)] == [THREE.ids(row) for row in range(3)]
    assert loaded.supervised.tolist() == [1, 1, 3]


def test_selection_keeps_the_order_asked_for() -> None:
    chosen = THREE.select(np.array([2, 0]))
    assert [chosen.ids(0), chosen.ids(1)] == [[6, 7, 8, 9], [1, 2]]
    assert chosen.labels(0) == [IGNORED, 7, 8, 9]


def test_grouping_sorts_inside_a_global_batch_and_moves_nothing_between_them() -> None:
    rows = [([length] * length, [0] * length) for length in (1, 3, 2, 5, 4, 6)]
    grouped = grouped_by_length(make_samples(*rows), batch_size=3)
    assert grouped.lengths.tolist() == [3, 2, 1, 6, 5, 4]


def test_blocks_hold_every_token_once_but_the_rest_and_predict_no_first_token() -> None:
    blocks = concatenated(THREE, block=4)
    assert [blocks.ids(row) for row in range(blocks.num_samples)] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert blocks.labels(0) == [IGNORED, 2, IGNORED, IGNORED]
    assert blocks.labels(1) == [IGNORED, IGNORED, 7, 8]  # 5 carried loss, but begins a block
