"""What rows a micro-batch computes."""

import pytest
import torch

from llmfinetune_trainer.engine.fused.prefix import mask_keys, rows_of
from tests.unit.trainer.fused import builders


@pytest.mark.parametrize(
    ("lengths", "common", "prompt", "shared"),
    [
        pytest.param((30, 25, 40), 12, 20, 12, id="all that is common"),
        pytest.param(
            (30, 25, 40), 12, 11, 10, id="up to the first position that predicts a supervised token"
        ),
        pytest.param((30, 10), 10, 20, 9, id="every document keeps a row of its own"),
        pytest.param((30, 25), 7, 20, 0, id="too short to pay"),
        pytest.param((30,), 30, 20, 0, id="one document shares with nobody"),
        pytest.param((30, 1), 1, 20, 0, id="a document of one token"),
    ],
)
def test_what_is_shared(lengths: tuple[int, ...], common: int, prompt: int, shared: int) -> None:
    tokens = builders.documents(*lengths)
    for index, document in enumerate(tokens):
        document[:common] = tokens[0][:common]
        document[common:] += 1000 * index
    rows = rows_of(builders.packed(tokens, prompt=prompt), share_prefix=True)
    assert rows.documents.prefix == shared
    assert len(rows.token_ids) == sum(lengths) - shared * (len(lengths) - 1)


def test_rows_keep_their_tokens_positions_and_targets() -> None:
    tokens = builders.documents(14, 12, 20, prefix=9)
    batch = builders.packed(tokens, prompt=11)
    plain, shared = (rows_of(batch, share_prefix=share) for share in (False, True))
    assert torch.equal(shared.token_ids, torch.cat([tokens[0], tokens[1][9:], tokens[2][9:]]))
    assert torch.equal(
        shared.positions, torch.cat([torch.arange(14), torch.arange(9, 12), torch.arange(9, 20)])
    )
    assert shared.documents.starts.tolist() == [0, 9, 14, 17]
    assert shared.documents.lengths.tolist() == [9, 5, 3, 11]
    assert torch.equal(shared.token_ids[shared.supervised], plain.token_ids[plain.supervised])
    assert torch.equal(shared.keys[shared.supervised], plain.keys[plain.supervised])
    assert torch.equal(shared.targets, plain.targets)


def test_nothing_is_shared_where_it_is_switched_off() -> None:
    batch = builders.packed(builders.documents(14, 12, prefix=9), prompt=11)
    rows = rows_of(batch, share_prefix=False)
    assert rows.documents.prefix == 0
    assert torch.equal(rows.token_ids, batch.input_ids[0])


def test_a_row_s_mask_is_a_function_of_the_tokens_up_to_it() -> None:
    one, other = builders.documents(14, 20, prefix=9)
    lone = mask_keys(one, torch.arange(14))
    packed = builders.packed([other, one])
    assert torch.equal(mask_keys(packed.input_ids[0], packed.position_ids[0])[20:], lone)
    assert torch.equal(mask_keys(other, torch.arange(20))[:9], lone[:9])
    assert len({*lone.tolist(), *mask_keys(other, torch.arange(20))[9:].tolist()}) == 14 + 11
    assert 0 <= int(lone.min()) <= int(lone.max()) < 2**32
