"""Packing conserves samples and keeps the budget; sharing conserves the batch and balances it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfinetune_trainer.data.packing import balanced_shares, pack, sample_costs

lengths_lists = st.lists(st.integers(1, 700), max_size=80)


@given(lengths_lists, st.integers(1, 1024))
def test_packs_hold_every_sample_once_and_keep_the_budget(lengths: list[int], budget: int) -> None:
    packs = pack(lengths, budget)
    assert sorted(position for members in packs for position in members) == list(range(len(lengths)))
    for members in packs:
        assert sum(lengths[position] for position in members) <= budget or len(members) == 1


@given(lengths_lists, st.integers(1, 1024))
def test_no_two_packs_would_fit_into_one(lengths: list[int], budget: int) -> None:
    sizes = sorted(sum(lengths[position] for position in members) for members in pack(lengths, budget))
    assert len(sizes) < 2 or sizes[0] + sizes[1] > budget


@pytest.mark.parametrize(
    ("lengths", "budget", "packs"),
    [
        pytest.param([], 10, [], id="nothing"),
        pytest.param([20, 3], 10, [[0], [1]], id="a sample over the budget is alone"),
        pytest.param([6, 5, 4, 5], 10, [[0, 2], [1, 3]], id="the fullest pack that has room is taken"),
        pytest.param([5, 5, 5], 5, [[0], [1], [2]], id="equal samples keep their order"),
    ],
)
def test_packs(lengths: list[int], budget: int, packs: list[list[int]]) -> None:
    assert pack(np.asarray(lengths, dtype=np.int32), budget) == packs


def test_packs_of_realistic_lengths_are_nearly_full() -> None:
    lengths = np.random.Generator(np.random.PCG64(0)).gamma(2.0, 75.0, 2000).astype(int).clip(20, 512)
    packs = pack(lengths, 2048)
    assert lengths.sum() / (len(packs) * 2048) > 0.99


@given(st.lists(st.floats(1.0, 1e6), max_size=60), st.integers(1, 8))
def test_shares_hold_every_sample_once(costs: list[float], num_ranks: int) -> None:
    shares = balanced_shares(costs, num_ranks)
    assert len(shares) == num_ranks
    assert sorted(position for share in shares for position in share) == list(range(len(costs)))


@given(st.lists(st.integers(1, 512), min_size=1, max_size=60), st.integers(1, 8))
def test_no_share_exceeds_another_by_more_than_its_costliest_sample(lengths: list[int], ranks: int) -> None:
    costs = sample_costs(lengths)
    loads = [costs[share].sum() for share in balanced_shares(costs, ranks)]
    assert max(loads) - min(loads) <= costs.max() + 1e-6
