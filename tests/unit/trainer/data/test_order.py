"""The order of samples is a function of (seed, epoch), and the cursor walks it without gap or repetition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfinetune_trainer.data.order import epoch_order, samples_at


@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(1, 300))
def test_an_epoch_visits_every_sample_once(seed: int, epoch: int, num_samples: int) -> None:
    assert sorted(epoch_order(seed, epoch, num_samples)) == list(range(num_samples))


@given(st.integers(1, 20), st.lists(st.integers(0, 30), max_size=8))
def test_batches_of_any_sizes_continue_each_other(num_samples: int, counts: list[int]) -> None:
    pieces, cursor = [], 0
    for count in counts:
        pieces.append(samples_at(7, cursor, count, num_samples))
        cursor += count
    assert np.concatenate([*pieces, []]).tolist() == samples_at(7, 0, cursor, num_samples).tolist()


def test_a_step_across_epochs_ends_one_and_begins_the_next() -> None:
    expected = [*epoch_order(1, 0, 5)[3:], *epoch_order(1, 1, 5)[:2]]
    assert samples_at(1, 3, 4, 5).tolist() == expected


def test_seed_and_epoch_change_the_order() -> None:
    orders = {tuple(epoch_order(seed, epoch, 50)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_the_order_stays_what_it_was_in_earlier_versions() -> None:
    assert epoch_order(42, 0, 8).tolist() == PINNED


def test_no_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        samples_at(1, 0, 1, 0)


PINNED = [0, 2, 6, 7, 4, 3, 1, 5]
