"""Rows become examples; what does not fit is named with row, column and fix."""

from typing import Any

import pytest

from llmfinetune_trainer.config.run import Columns
from llmfinetune_trainer.data.formats import (
    ChatMessage,
    Completion,
    Conversation,
    Document,
    Example,
    Instruction,
    detect_format,
    has_answer,
    to_example,
)
from llmfinetune_trainer.data.readers import Row
from llmfinetune_trainer.errors import RunError

MESSAGES = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        pytest.param(["instruction", "input", "output"], "alpaca", id="alpaca"),
        pytest.param(["instruction", "output", "text"], "alpaca", id="alpaca before pretraining"),
        pytest.param(["messages", "text"], "messages", id="messages before all"),
        pytest.param(["prompt", "completion"], "completion", id="completion"),
        pytest.param(["text", "url"], "pretraining", id="pretraining"),
    ],
)
def test_auto_takes_the_format_whose_columns_are_there(columns: list[str], name: str) -> None:
    assert detect_format(columns, Columns()) == name


def test_auto_knows_renamed_columns() -> None:
    assert detect_format(["question", "answer"], Columns(instruction="question", output="answer")) == "alpaca"


def test_auto_names_the_columns_that_are_there() -> None:
    with pytest.raises(
        RunError, match="no format fits the columns answer, question: messages needs messages"
    ):
        detect_format(["question", "answer"], Columns())


@pytest.mark.parametrize(
    ("name", "values", "example"),
    [
        pytest.param("alpaca", {"instruction": "i", "output": "o"}, Instruction("i", "", "o"), id="no input"),
        pytest.param(
            "alpaca",
            {"instruction": "i", "input": None, "output": "o"},
            Instruction("i", "", "o"),
            id="null input",
        ),
        pytest.param("completion", {"prompt": "p", "completion": "c"}, Completion("p", "c"), id="completion"),
        pytest.param("pretraining", {"text": "t"}, Document("t"), id="document"),
        pytest.param(
            "messages",
            {"messages": MESSAGES},
            Conversation((ChatMessage("user", "q"), ChatMessage("assistant", "a"))),
            id="messages",
        ),
        pytest.param(
            "messages",
            {
                "messages": [
                    {**message, "tool_calls": [], "reasoning_content": None} for message in MESSAGES
                ],
                "tools": None,
            },
            Conversation((ChatMessage("user", "q"), ChatMessage("assistant", "a"))),
            id="keys that only other rows fill",
        ),
    ],
)
def test_examples(name: str, values: dict[str, Any], example: Example) -> None:
    assert to_example(name, Row("f row 1", values), Columns()) == example


@pytest.mark.parametrize(
    ("name", "values", "columns", "message"),
    [
        pytest.param(
            "alpaca",
            {"instructions": "i", "output": "o"},
            Columns(),
            "f row 1: column 'instruction' is missing; columns there: instructions, output; "
            "did you mean 'instructions'",
            id="near match",
        ),
        pytest.param(
            "alpaca",
            {"instruction": "i", "output": "o"},
            Columns(input="context"),
            "column 'context' is missing",
            id="an input column that the manifest names",
        ),
        pytest.param(
            "alpaca",
            {"instruction": "i", "output": 4},
            Columns(),
            "column 'output' must be text, holds int 4",
            id="a number",
        ),
        pytest.param(
            "alpaca",
            {"instruction": None, "output": "o"},
            Columns(),
            "column 'instruction' must be text, holds nothing",
            id="null",
        ),
        pytest.param("messages", {"messages": "hi"}, Columns(), "must be a list of messages", id="no list"),
        pytest.param("messages", {"messages": []}, Columns(), "must be a list of messages", id="empty list"),
        pytest.param(
            "messages",
            {"messages": [{"from": "human", "value": "hi"}]},
            Columns(),
            r"column 'messages\[0\]' must be",
            id="other keys",
        ),
        pytest.param(
            "messages",
            {"messages": [*MESSAGES, {"role": "human", "content": "x"}]},
            Columns(),
            r"column 'messages\[2\].role' must be one of system, user, assistant, tool, holds str 'human'",
            id="unknown role",
        ),
        pytest.param(
            "messages",
            {"messages": [MESSAGES[0], {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]},
            Columns(),
            r"f row 1: 'messages\[1\].tool_calls' holds something",
            id="tool calls",
        ),
        pytest.param(
            "messages",
            {"messages": [MESSAGES[0], {**MESSAGES[1], "reasoning_content": "hm"}]},
            Columns(),
            r"f row 1: 'messages\[1\].reasoning_content' holds something",
            id="reasoning",
        ),
        pytest.param(
            "messages",
            {"messages": MESSAGES, "tools": [{"type": "function"}]},
            Columns(),
            "f row 1: 'tools' holds something",
            id="tools",
        ),
    ],
)
def test_unfit_rows(name: str, values: dict[str, Any], columns: Columns, message: str) -> None:
    with pytest.raises(RunError, match=message):
        to_example(name, Row("f row 1", values), columns)


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        pytest.param(Instruction("i", "", ""), False, id="empty output"),
        pytest.param(Completion("", "c"), True, id="completion without prompt"),
        pytest.param(Conversation((ChatMessage("user", "q"),)), False, id="nobody answers"),
        pytest.param(Conversation((ChatMessage("assistant", "a"),)), False, id="an answer to nothing"),
        pytest.param(Document(""), False, id="empty document"),
    ],
)
def test_has_answer(example: Example, expected: bool) -> None:
    assert has_answer(example) is expected
