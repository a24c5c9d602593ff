"""The fastest micro-batches that fit: smaller ones first, activations computed again when that is not
enough."""

import pytest

from llmfinetune_trainer.estimate.choice import LADDER, Choice, candidates, choose
from llmfinetune_trainer.estimate.memory import Memory
from tests.unit.trainer.estimate.builders import memory

FIXED = 1000
LONGEST = 300


def memory_at(choice: Choice) -> Memory:
    """A model that keeps 10 bytes a token, or 2 when activations are computed again."""
    rows = max(choice.tokens, LONGEST)
    return memory(FIXED + rows * (2 if choice.recompute else 10))


@pytest.mark.parametrize(
    ("limit", "chosen"),
    [
        (1_000_000, Choice(2048, recompute=False)),
        (15_000, Choice(1024, recompute=False)),
        (7_000, Choice(512, recompute=False)),
        (4_500, Choice(256, recompute=False)),
        (3_500, Choice(1024, recompute=True)),
        (2_300, Choice(512, recompute=True)),
        (1_800, Choice(256, recompute=True)),
        (500, Choice(256, recompute=True)),
    ],
    ids=[
        "plenty of room",
        "half",
        "a quarter",
        "down to the longest sample",
        "computed again",
        "computed again in halves",
        "barely",
        "nothing fits: the least",
    ],
)
def test_the_fastest_that_leaves_room_is_taken(limit: int, chosen: Choice) -> None:
    choices = candidates(tokens=None, can_recompute=True)
    assert choose(choices, limit=limit, memory_at=memory_at).choice == chosen


@pytest.mark.parametrize(("limit", "tokens"), [(10_000, 2048), (9_999, 512)], ids=["just there", "not there"])
def test_a_tenth_of_the_limit_stays_free(limit: int, tokens: int) -> None:
    fit = choose(
        LADDER, limit=limit, memory_at=lambda choice: memory(9_000 if choice.tokens > 512 else 8_000)
    )
    assert fit.choice.tokens == tokens


def test_what_the_user_chose_stays_and_only_recomputation_is_left_to_choose() -> None:
    assert candidates(tokens=777, can_recompute=True) == [
        Choice(777, recompute=False),
        Choice(777, recompute=True),
    ]


def test_a_path_that_cannot_compute_again_has_small_micro_batches_only() -> None:
    choices = candidates(tokens=None, can_recompute=False)
    assert [choice.tokens for choice in choices] == [2048, 1024, 512, 256, 128, 64]
    assert not any(choice.recompute for choice in choices)
