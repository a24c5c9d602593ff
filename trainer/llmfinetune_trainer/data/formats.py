"""Formats: how the columns of a row become an example. Pure; one function a format."""

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from llmfinetune_trainer.config.run import Columns
from llmfinetune_trainer.data.readers import Row
from llmfinetune_trainer.errors import RunError, data_error

ROLES: Final = ("system", "user", "assistant", "tool")
TOOLS: Final = "tools"
"""Column in which data sets describe the functions that a conversation may call."""


class Instruction(NamedTuple):
    """An instruction, its input (may be empty) and the answer."""

    instruction: str
    input: str
    output: str


class ChatMessage(NamedTuple):
    """One message of a conversation."""

    role: str
    content: str


class Conversation(NamedTuple):
    """Messages in order; the assistant's are to be learned, where they answer something."""

    messages: tuple[ChatMessage, ...]


class Completion(NamedTuple):
    """A prompt and how it goes on."""

    prompt: str
    completion: str


class Document(NamedTuple):
    """Plain text, all of it to be learned."""

    text: str


Example = Instruction | Conversation | Completion | Document


class Format(NamedTuple):
    """One format: the columns (fields of `Columns`) a row must have, and what makes an example of it."""

    required: tuple[str, ...]
    convert: Callable[[Row, Columns], Example]


def _alpaca(row: Row, columns: Columns) -> Example:
    return Instruction(
        instruction=_text(row, columns.instruction),
        input=_text(row, columns.input, optional=True),
        output=_text(row, columns.output),
    )


def _completion(row: Row, columns: Columns) -> Example:
    return Completion(_text(row, columns.prompt), _text(row, columns.completion))


def _pretraining(row: Row, columns: Columns) -> Example:
    return Document(_text(row, columns.text))


def _messages(row: Row, columns: Columns) -> Example:
    if not _is_empty(row.values.get(TOOLS)):
        raise _not_learned(row, TOOLS)
    messages = row.values[columns.messages]
    if not isinstance(messages, list) or not messages:
        raise _unfit(row, columns.messages, f"must be a list of messages, holds {_shown(messages)}")
    return Conversation(
        tuple(_message(row, columns.messages, number, m) for number, m in enumerate(messages))
    )


def _message(row: Row, column: str, number: int, message: Any) -> ChatMessage:
    where = f"{column}[{number}]"
    if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
        raise _unfit(row, where, f"must be {{role, content}}, holds {_shown(message)}")
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise _unfit(row, f"{where}.role", f"must be one of {', '.join(ROLES)}, holds {_shown(role)}")
    for key, value in message.items():
        if key not in ChatMessage._fields and not _is_empty(value):
            raise _not_learned(row, f"{where}.{key}")
    if not isinstance(content, str):
        raise _unfit(row, f"{where}.content", f"must be text, holds {_shown(content)}")
    return ChatMessage(role, content)


FORMATS: Final[dict[str, Format]] = {
    "messages": Format(("messages",), _messages),
    "alpaca": Format(("instruction", "output"), _alpaca),
    "completion": Format(("prompt", "completion"), _completion),
    "pretraining": Format(("text",), _pretraining),
}
"""By name, in the order in which `auto` tries them."""


def detect_format(present: Collection[str], columns: Columns) -> str:
    """The first format whose columns are all there.

    Raises:
        RunError: none is; the message names the columns that are there.
    """
    for name, candidate in FORMATS.items():
        if {getattr(columns, field) for field in candidate.required} <= set(present):
            return name
    wanted = "; ".join(
        f"{name} needs {', '.join(getattr(columns, field) for field in candidate.required)}"
        for name, candidate in FORMATS.items()
    )
    raise data_error(
        "UnknownFormat",
        f"no format fits the columns {', '.join(sorted(present)) or '(none)'}: {wanted}",
        hint="set spec.dataset.format, and spec.dataset.columns where the columns have other names",
    )


def to_example(name: str, row: Row, columns: Columns) -> Example:
    """Makes an example of a row.

    Raises:
        RunError: a column is missing or does not hold what the format needs.
    """
    chosen = FORMATS[name]
    wanted = list(chosen.required)
    if name == "alpaca" and columns.input != Columns().input:
        wanted.append("input")  # optional, unless the manifest names it
    for field in wanted:
        if getattr(columns, field) not in row.values:
            raise _missing(row, field, getattr(columns, field))
    return chosen.convert(row, columns)


def has_answer(example: Example) -> bool:
    """Whether an example holds any text that is to be learned."""
    match example:
        case Instruction(output=text) | Completion(completion=text) | Document(text):
            return bool(text)
        case Conversation(messages):
            return any(message.role == "assistant" and message.content for message in messages[1:])


def _text(row: Row, column: str, *, optional: bool = False) -> str:
    value = row.values.get(column)
    if isinstance(value, str):
        return value
    if value is None and optional:
        return ""
    raise _unfit(row, column, f"must be text, holds {_shown(value)}")


def _missing(row: Row, field: str, column: str) -> RunError:
    present = sorted(str(name) for name in row.values)
    near = difflib.get_close_matches(column, present, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return data_error(
        "ColumnMissing",
        f"{row.place}: column {column!r} is missing; columns there: {', '.join(present) or '(none)'}{meant}",
        hint=f"set spec.dataset.columns.{field} to the column that holds it, or spec.dataset.format",
    )


def _unfit(row: Row, column: str, what: str) -> RunError:
    return data_error(
        "ColumnUnfit", f"{row.place}: column {column!r} {what}", hint="correct the row, or remove it"
    )


def _not_learned(row: Row, place: str) -> RunError:
    return data_error(
        "MessagePartUnsupported",
        f"{row.place}: {place!r} holds something, and of messages only role and content are learned from",
        hint="write it into the content as the model is to see it, or remove it or the row",
    )


def _is_empty(value: Any) -> bool:
    """Whether a value says nothing: Parquet and Arrow give every row the keys that any row has."""
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    return value is None or (isinstance(value, str | list) and not value)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:59] + '…'}"
