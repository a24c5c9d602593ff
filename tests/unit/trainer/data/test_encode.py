"""Text becomes samples: targets by character offsets, end of sequence, cutting."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfinetune_trainer.data.encode import Encoded, Sample, encode, windows
from llmfinetune_trainer.data.templates import Rendered

BOS, EOS, END_OF_TURN = 1, 2, 3


class WordTokenizer:
    """Words with the space before them, runs of line breaks, `<e>` as end of turn; BOS if asked for."""

    eos_token_id = EOS
    all_special_ids = (BOS, EOS, END_OF_TURN)

    def __init__(self) -> None:
        self.vocabulary: dict[str, int] = {"<e>": END_OF_TURN}

    def __call__(self, texts: Sequence[str], *, add_special_tokens: bool, **_: Any) -> dict[str, Any]:
        ids, offsets = [], []
        for text in texts:
            pieces = list(re.finditer(r"<e>|\n+| ?[^ \n<]+| ", text))
            numbers = [self.vocabulary.setdefault(piece[0], len(self.vocabulary) + 10) for piece in pieces]
            ids.append([BOS] * add_special_tokens + numbers)
            offsets.append([(0, 0)] * add_special_tokens + [piece.span() for piece in pieces])
        return {"input_ids": ids, "offset_mapping": offsets}

    def show(self, sample: Sample) -> str:
        """Tokens joined by |, targets in brackets."""
        names = {number: name for name, number in self.vocabulary.items()} | {BOS: "BOS", EOS: "EOS"}
        pairs = zip(sample.ids.tolist(), sample.targets.tolist(), strict=True)
        return "|".join(f"[{names[number]}]" if target else names[number] for number, target in pairs)


def shown(rendered: Rendered, *, max_length: int = 100, several: bool = False) -> list[str]:
    tokenizer = WordTokenizer()
    (encoded,) = encode([rendered], tokenizer, max_length=max_length, cut_into_several=several)
    return [tokenizer.show(sample) for sample in encoded.samples]


def completion(prompt: str, answer: str) -> Rendered:
    return Rendered(prompt + answer, ((len(prompt), len(prompt + answer)),), is_complete=False)


@pytest.mark.parametrize(
    ("rendered", "expected"),
    [
        pytest.param(
            completion("what is it", " a b"), "BOS|what| is| it|[ a]|[ b]|[EOS]", id="the answer and its end"
        ),
        pytest.param(
            completion("ask\n", "\nanswer"),
            "BOS|ask|[\n\n]|[answer]|[EOS]",
            id="a token of prompt and answer together is learned",
        ),
        pytest.param(
            Rendered("u<e>a b<e>u<e>c<e>\n", ((4, 10), (14, 18)), is_complete=True),
            "u|<e>|[a]|[ b]|[<e>]|u|<e>|[c]|[<e>]",
            id="two turns; text that ends its turn gets no end of sequence",
        ),
        pytest.param(
            Rendered("a<e>more of the user", ((0, 4),), is_complete=True),
            "a|[<e>]",
            id="what follows the last target is dropped",
        ),
        pytest.param(
            Rendered("all of it", ((0, 9),), is_complete=False),
            "BOS|[all]|[ of]|[ it]|[EOS]",
            id="everything is learned but what begins it",
        ),
    ],
)
def test_samples(rendered: Rendered, expected: str) -> None:
    assert shown(rendered) == [expected]


@pytest.mark.parametrize(
    ("max_length", "expected", "is_truncated"),
    [
        pytest.param(6, "BOS|p| q|[ a]|[ b]|[EOS]", False, id="room for the end"),
        pytest.param(5, "BOS|p| q|[ a]|[ b]", False, id="just the text"),
        pytest.param(4, "BOS|p| q|[ a]", True, id="cut"),
    ],
)
def test_length(max_length: int, expected: str, is_truncated: bool) -> None:
    tokenizer = WordTokenizer()
    (encoded,) = encode([completion("p q", " a b")], tokenizer, max_length=max_length, cut_into_several=False)
    assert [tokenizer.show(sample) for sample in encoded.samples] == [expected]
    assert encoded.is_truncated is is_truncated


@pytest.mark.parametrize(
    ("rendered", "why"),
    [
        pytest.param(completion("p q", ""), "holds no answer to learn", id="no answer"),
        pytest.param(
            completion("p q r s", " a"), "its prompt alone fills the 4 tokens of a sample", id="no room"
        ),
    ],
)
def test_rows_that_carry_no_loss_become_no_sample(rendered: Rendered, why: str) -> None:
    (encoded,) = encode([rendered], WordTokenizer(), max_length=4, cut_into_several=False)
    assert encoded == Encoded((), why_skipped=why)


def test_a_document_becomes_windows_that_overlap_by_one_token() -> None:
    document = Rendered("a b c d", ((0, 7),), is_complete=False)
    assert shown(document, max_length=3, several=True) == ["BOS|[a]|[ b]", " b|[ c]|[ d]", " d|[EOS]"]


@given(st.integers(2, 60), st.integers(2, 20))
def test_every_token_but_the_first_is_a_target_in_just_one_window(length: int, max_length: int) -> None:
    targets = np.ones(length, dtype=np.bool_)
    targets[0] = False
    cut = list(windows(Sample(np.arange(length, dtype=np.int32), targets), max_length))
    learned = [token for sample in cut for token in sample.ids[sample.targets].tolist()]
    assert learned == list(range(1, length))
    assert all(len(sample.ids) <= max_length and not sample.targets[0] for sample in cut)
