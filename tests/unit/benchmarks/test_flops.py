"""The FLOP model: what every contestant's share of the peak is counted by."""

import pytest
from benchmarks.trainers.flops import adapter_weights, training_flops

TINY = {
    "hidden_size": 4,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 2,
    "intermediate_size": 8,
    "vocab_size": 10,
}
SMOLLM2 = {
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49152,
}
LAYERS = 2 * (16 + 8 + 8 + 16 + 3 * 32)
"""Frozen weights of the tiny model: q 4x4, k and v 4x2, o 4x4, three of 4x8, in two layers."""


def test_adapters_add_rank_times_both_ends_of_every_layer() -> None:
    assert adapter_weights(TINY, rank=3, targets=["q_proj", "down_proj"]) == 2 * 3 * (4 + 4 + 8 + 4)
    assert adapter_weights(SMOLLM2, rank=8, targets=["q_proj", "v_proj"]) == 460_800


@pytest.mark.parametrize(
    ("lengths", "supervised", "expected"),
    [
        pytest.param([1], [0], 4 * LAYERS + 6 * 16 + 6 * 2 * 4, id="one token without loss needs no head"),
        pytest.param(
            [1],
            [1],
            4 * LAYERS + 6 * 16 + 6 * 2 * 4 + 4 * 10 * 4,
            id="a supervised row adds the head's two products",
        ),
        pytest.param(
            [3, 1],
            [0, 0],
            4 * (4 * LAYERS + 6 * 16) + 6 * 2 * 4 * 10,
            id="attention grows with each document's square",
        ),
    ],
)
def test_operations_of_a_tiny_model(lengths: list[int], supervised: list[int], expected: int) -> None:
    assert training_flops(TINY, weights=16, lengths=lengths, supervised=supervised) == expected


def test_medical_questions_on_smollm2_need_about_half_a_gigaflop_per_token() -> None:
    # mean 153 tokens of which 91 carry loss; real lengths vary, which only attention notices
    flops = training_flops(SMOLLM2, weights=460_800, lengths=[153], supervised=[91])
    assert flops / 153 == pytest.approx(512e6, rel=0.01)
