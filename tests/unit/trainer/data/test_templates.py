"""Text and learned spans of every template."""

from collections.abc import Sequence

import pytest

from llmfinetune_trainer.data.formats import (
    ChatMessage,
    Completion,
    Conversation,
    Document,
    Example,
    Instruction,
)
from llmfinetune_trainer.data.templates import PrefixError, Rendered, render, resolve_template
from llmfinetune_trainer.errors import RunError


def chat(messages: Sequence[ChatMessage], add_generation_prompt: bool) -> str:
    text = "".join(f"<{message.role}>{message.content}</>\n" for message in messages)
    return text + "<assistant>" * add_generation_prompt


def forgetful_chat(messages: Sequence[ChatMessage], add_generation_prompt: bool) -> str:
    """Renders only the last turn whole, as templates do that drop earlier reasoning."""
    *earlier, last = messages
    shortened = [ChatMessage(message.role, message.content[:1]) for message in earlier]
    return chat([*shortened, last], add_generation_prompt)


def learned(rendered: Rendered) -> list[str]:
    return [rendered.text[start:end] for start, end in rendered.spans]


TURNS = Conversation(
    (
        ChatMessage("user", "one?"),
        ChatMessage("assistant", "first"),
        ChatMessage("user", "two?"),
        ChatMessage("assistant", "second"),
    )
)


@pytest.mark.parametrize(
    ("example", "template", "text", "spans"),
    [
        pytest.param(
            Instruction("Add.", "1 2", "3"),
            "alpaca",
            "Below is an instruction that describes a task, paired with an input that provides further "
            "context. "
            "Write a response that appropriately completes the request.\n\n"
            "### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n3",
            ["3"],
            id="alpaca with input",
        ),
        pytest.param(
            Instruction("Say {hi}.", "", "hi"),
            "alpaca",
            "Below is an instruction that describes a task. "
            "Write a response that appropriately completes the request.\n\n"
            "### Instruction:\nSay {hi}.\n\n### Response:\nhi",
            ["hi"],
            id="alpaca without input, braces are plain text",
        ),
        pytest.param(
            Instruction("Add.", "1 2", "3"),
            "chat",
            "<user>Add.\n\n1 2</>\n<assistant>3</>\n",
            ["3</>"],
            id="alpaca rows with the chat template",
        ),
        pytest.param(Completion("a", "b"), "plain", "ab", ["b"], id="completion"),
        pytest.param(Completion("a", "b"), "chat", "<user>a</>\n<assistant>b</>\n", ["b</>"], id="as chat"),
        pytest.param(Document("all"), "plain", "all", ["all"], id="document"),
        pytest.param(
            TURNS,
            "chat",
            "<user>one?</>\n<assistant>first</>\n<user>two?</>\n<assistant>second</>\n",
            ["first</>", "second</>"],
            id="every assistant turn, without what follows its end",
        ),
    ],
)
def test_rendered(example: Example, template: str, text: str, spans: list[str]) -> None:
    rendered = render(example, template=template, chat=chat, train_on_inputs=False)
    assert rendered.text == text
    assert learned(rendered) == spans


def test_a_conversation_may_begin_with_the_assistant_which_is_not_learned() -> None:
    def chat_of_something(messages: Sequence[ChatMessage], add_generation_prompt: bool) -> str:
        assert messages, "what a real tokenizer refuses"
        return chat(messages, add_generation_prompt)

    begun = Conversation((ChatMessage("assistant", "hello"), *TURNS.messages))
    rendered = render(begun, template="chat", chat=chat_of_something, train_on_inputs=False)
    assert learned(rendered) == ["first</>", "second</>"]
    assert rendered.text.startswith("<assistant>hello</>")


@pytest.mark.parametrize("template", ["alpaca", "chat"])
def test_train_on_inputs_learns_the_whole_text(template: str) -> None:
    rendered = render(Instruction("i", "", "o"), template=template, chat=chat, train_on_inputs=True)
    assert learned(rendered) == [rendered.text]


def test_a_template_that_changes_earlier_turns_is_refused() -> None:
    with pytest.raises(PrefixError, match="message 1"):
        render(TURNS, template="chat", chat=forgetful_chat, train_on_inputs=False)


@pytest.mark.parametrize(
    ("template", "format_name", "resolved"),
    [
        pytest.param("auto", "alpaca", "alpaca", id="alpaca"),
        pytest.param("auto", "messages", "chat", id="messages"),
        pytest.param("auto", "completion", "plain", id="completion"),
        pytest.param("auto", "pretraining", "plain", id="pretraining"),
        pytest.param("chat", "alpaca", "chat", id="as the manifest says"),
    ],
)
def test_resolved_templates(template: str, format_name: str, resolved: str) -> None:
    assert resolve_template(template, format_name, has_chat_template=True) == resolved


@pytest.mark.parametrize(
    ("template", "format_name", "reason"),
    [
        pytest.param("auto", "messages", "NoChatTemplate", id="messages without a chat template"),
        pytest.param("alpaca", "messages", "TemplateUnfit", id="conversations in the Alpaca template"),
        pytest.param("chat", "pretraining", "TemplateUnfit", id="a template for plain documents"),
    ],
)
def test_templates_that_do_not_go_with_the_format(template: str, format_name: str, reason: str) -> None:
    with pytest.raises(RunError) as raised:
        resolve_template(template, format_name, has_chat_template=False)
    assert raised.value.failure.reason == reason
