"""Rows on their way into prepared files: which are tokenised together, and where what is refused stands."""

from collections.abc import Sequence
from typing import Any

import pytest
from jinja2 import TemplateError

from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.build import Examples, encoded_rows
from llmfinetune_trainer.data.formats import ChatMessage, Completion, Conversation
from llmfinetune_trainer.errors import RunError

from .test_encode import WordTokenizer

CONFIG = RunConfig.model_validate(
    {
        "name": "t",
        "model": {"source": "/model"},
        "dataset": {"source": "/data"},
        "method": {"lora": {}},
    }
)


class Tokenizer(WordTokenizer):
    """Remembers how many rows it was given at a time; its chat template refuses everything."""

    chat_template = "{{ raise_exception('no') }}"

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def __call__(self, texts: Sequence[str], **how: Any) -> dict[str, Any]:
        self.batches.append(len(texts))
        return super().__call__(texts, **how)

    def apply_chat_template(self, *_: object, **__: object) -> str:
        raise TemplateError("roles must alternate")


@pytest.mark.parametrize(
    ("lengths", "batches"),
    [
        pytest.param([1] * 7, [3, 3, 1], id="short rows, so many at a time"),
        pytest.param([30, 1, 1, 1, 1, 9, 9], [1, 3, 2, 1], id="long rows, so much text at a time"),
    ],
)
def test_batches_are_bounded_by_rows_and_by_text(
    lengths: Sequence[int], batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmfinetune_trainer.data.build.BATCH_ROWS", 3)
    monkeypatch.setattr("llmfinetune_trainer.data.build.BATCH_CHARACTERS", 10)
    tokenizer = Tokenizer()
    items = ((f"row {n}", Completion("", "x" * length)) for n, length in enumerate(lengths))
    rows = encoded_rows(
        Examples("completion", items), config=CONFIG, tokenizer=tokenizer, progress=lambda line: None
    )
    assert [place for place, _ in rows] == [f"row {n}" for n in range(len(lengths))]
    assert tokenizer.batches == batches


def test_what_a_chat_template_refuses_is_named_by_its_place() -> None:
    items = iter(
        [("data.json row 7", Conversation((ChatMessage("user", "q"), ChatMessage("assistant", "a"))))]
    )
    with pytest.raises(RunError, match=r"data\.json row 7: .* refuses a conversation: roles must alternate"):
        list(
            encoded_rows(
                Examples("messages", items), config=CONFIG, tokenizer=Tokenizer(), progress=lambda line: None
            )
        )
