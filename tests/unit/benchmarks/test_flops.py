"""The FLOP model: what every contestant's share of the peak is counted by."""

import pytest
from benchmarks.trainers.flops import Shape, adapter_parameters, body_parameters, training_flops

TINY = Shape(hidden=4, layers=2, heads=2, kv_heads=1, head_size=2, intermediate=8, vocabulary=10)
SMOLLM2 = {
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49152,
}


def test_sizes_are_those_of_the_weights() -> None:
    # q 4x4, k and v 4x2, o 4x4, three of 4x8, in two layers
    assert body_parameters(TINY) == 2 * (16 + 8 + 8 + 16 + 3 * 32)
    assert adapter_parameters(TINY, rank=3, targets=["q_proj", "down_proj"]) == 2 * 3 * (4 + 4 + 8 + 4)


def test_published_sizes_of_smollm2() -> None:
    shape = Shape.from_config(SMOLLM2)
    assert shape.head_size == 64
    assert body_parameters(shape) == 106_168_320
    assert adapter_parameters(shape, rank=8, targets=["q_proj", "v_proj"]) == 460_800


@pytest.mark.parametrize(
    ("lengths", "supervised", "expected"),
    [
        pytest.param([1], [0], 4 * 288 + 6 * 2 * 8 + 6 * 2 * 4, id="one token without loss needs no head"),
        pytest.param(
            [1],
            [1],
            4 * 288 + 6 * 2 * 8 + 6 * 2 * 4 + 4 * 10 * 4,
            id="a supervised row adds the head's two products",
        ),
        pytest.param(
            [3, 1],
            [0, 0],
            4 * 4 * 288 + 4 * 6 * 2 * 8 + 6 * 2 * 4 * 10,
            id="attention grows with each document's square",
        ),
    ],
)
def test_operations_of_a_tiny_model(lengths: list[int], supervised: list[int], expected: float) -> None:
    # rank 1 on q_proj: 4 + 4 weights in each of two layers
    flops = training_flops(TINY, rank=1, targets=["q_proj"], lengths=lengths, supervised=supervised)
    assert flops == expected


def test_medical_questions_on_smollm2_need_about_half_a_gigaflop_per_token() -> None:
    # mean 153 tokens of which 91 carry loss; real lengths vary, which only attention notices
    flops = training_flops(
        Shape.from_config(SMOLLM2), rank=8, targets=["q_proj", "v_proj"], lengths=[153], supervised=[91]
    )
    assert flops / 153 == pytest.approx(512e6, rel=0.01)


def test_splitting_a_document_saves_attention_only() -> None:
    whole, split = (
        training_flops(TINY, rank=1, targets=["v_proj"], lengths=lengths, supervised=[2, 2])
        for lengths in ([8, 0], [4, 4])
    )
    assert whole - split == 6 * 2 * 4 * (64 - 32)
