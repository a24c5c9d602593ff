"""Templates: how an example becomes text, and which spans of the text are to be learned. Pure.

The Alpaca prompt ends with `### Response:` and a newline, none of it learned; the answer follows at once.
(Elsewhere the newline is sometimes learned or left out; here it belongs to the prompt, so that generating
starts with the answer.)
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from llmfinetune_trainer.data.formats import (
    ChatMessage,
    Completion,
    Conversation,
    Document,
    Example,
    Instruction,
)
from llmfinetune_trainer.errors import user_error

ALPACA_WITH_INPUT: Final = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)
ALPACA_WITHOUT_INPUT: Final = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n"
)

RenderChat = Callable[[Sequence[ChatMessage], bool], str]
"""The tokenizer's chat template: (messages, whether to end where the assistant goes on) -> text."""


class Rendered(NamedTuple):
    """Text, and the spans [start, end) of its characters that are learned.

    `is_complete` says that the text holds its own special tokens, so that the tokenizer adds none in front.
    """

    text: str
    spans: tuple[tuple[int, int], ...]
    is_complete: bool


class PrefixError(ValueError):
    """A chat template renders the beginning of a conversation differently when the conversation goes on."""


def resolve_template(template: str, format_name: str, *, has_chat_template: bool) -> str:
    """The template for a format: `alpaca`, `chat` or `plain`.

    Raises:
        RunError: the two do not go together, or the tokenizer has no chat template.
    """
    if template == "auto":
        template = {"alpaca": "alpaca", "messages": "chat"}.get(format_name, "plain")
    elif format_name == "pretraining" or (format_name, template) == ("messages", "alpaca"):
        raise user_error(
            "TemplateUnfit",
            f"spec.dataset.template {template!r} does not go with rows of format {format_name!r}",
            hint="remove spec.dataset.template, or set it to auto",
        )
    if template == "chat" and not has_chat_template:
        raise user_error(
            "NoChatTemplate",
            f"the model's tokenizer has no chat template, which rows of format {format_name!r} need here",
            hint="take a chat model, or rows of format alpaca or completion with spec.dataset.template auto",
        )
    return template


def render(example: Example, *, template: str, chat: RenderChat, train_on_inputs: bool) -> Rendered:
    """Renders an example with a template from `resolve_template`.

    Raises:
        PrefixError: the answers' places in the text cannot be told exactly.
    """
    match example:
        case Document(text):
            return Rendered(text, ((0, len(text)),), is_complete=False)
        case Conversation(messages):
            rendered = _chat(messages, chat)
        case _ if template == "chat":
            rendered = _chat(_turns(example), chat)
        case _:
            prompt, answer = _prompt_and_answer(example, template)
            text = prompt + answer
            rendered = Rendered(text, ((len(prompt), len(text)),), is_complete=False)
    return rendered._replace(spans=((0, len(rendered.text)),)) if train_on_inputs else rendered


def alpaca_prompt(instruction: str, input_text: str = "") -> str:
    """The Alpaca prompt up to where the answer starts."""
    if not input_text:
        return ALPACA_WITHOUT_INPUT.format(instruction=instruction)
    return ALPACA_WITH_INPUT.format(instruction=instruction, input=input_text)


def _prompt_and_answer(example: Instruction | Completion, template: str) -> tuple[str, str]:
    match example:
        case Instruction(instruction, input_text, output):
            return alpaca_prompt(instruction, input_text), output
        case Completion(prompt, completion):
            return (alpaca_prompt(prompt) if template == "alpaca" else prompt), completion


def _turns(example: Instruction | Completion) -> tuple[ChatMessage, ...]:
    match example:
        case Instruction(instruction, input_text, output):
            question = f"{instruction}\n\n{input_text}" if input_text else instruction
            return ChatMessage("user", question), ChatMessage("assistant", output)
        case Completion(prompt, completion):
            return ChatMessage("user", prompt), ChatMessage("assistant", completion)


def _chat(messages: Sequence[ChatMessage], chat: RenderChat) -> Rendered:
    """Finds the assistant's turns by rendering what comes before and up to each of them. A first message is
    not learned: nothing comes before it, so where it starts cannot be told."""
    text = chat(messages, False)
    spans = []
    for index, message in enumerate(messages):
        if index and message.role == "assistant" and message.content:
            before, through = chat(messages[:index], True), chat(messages[: index + 1], False)
            if not (text.startswith(through) and through.startswith(before)):
                raise PrefixError(f"message {index}")
            # What a template puts behind the end-of-turn token is never generated, hence not learned.
            spans.append((len(before), len(through.rstrip())))
    return Rendered(text, tuple(spans), is_complete=True)
