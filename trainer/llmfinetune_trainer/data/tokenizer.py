"""Loads the model's tokenizer and adapts its chat template. Nothing else of the data side needs
`transformers`, which takes seconds to import."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmfinetune_trainer.data.formats import ChatMessage
from llmfinetune_trainer.data.templates import RenderChat
from llmfinetune_trainer.errors import model_access_error, user_error

UNLIMITED = 1 << 30


def load_tokenizer(directory: Path) -> Any:
    """The fast tokenizer in a model directory.

    Raises:
        RunError: there is none, or it cannot tell which characters a token stands for.
    """
    from transformers import AutoTokenizer  # takes seconds

    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise model_access_error(
            "TokenizerUnreadable",
            f"the tokenizer in {directory} cannot be loaded: {error}",
            hint="put the model's tokenizer.json and tokenizer_config.json beside its weights",
        ) from error
    if not tokenizer.is_fast:
        raise model_access_error(
            "TokenizerUnsupported",
            f"the tokenizer in {directory} ({type(tokenizer).__name__}) has no fast form",
            hint="add a tokenizer.json, as AutoTokenizer.from_pretrained(…).save_pretrained(…) writes it",
        )
    tokenizer.model_max_length = UNLIMITED  # length is what training.maxSequenceLength says
    return tokenizer


def chat_renderer(tokenizer: Any) -> RenderChat:
    """The tokenizer's chat template as a function of messages."""
    from jinja2 import TemplateError  # comes with transformers

    def render(messages: Sequence[ChatMessage], add_generation_prompt: bool) -> str:
        try:
            text = tokenizer.apply_chat_template(
                [message._asdict() for message in messages],
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        except TemplateError as error:
            raise user_error(
                "ChatTemplateRefuses",
                f"the tokenizer's chat template refuses a conversation: {error}",
                hint="give the roles the order that the model's template expects",
            ) from None
        return str(text)

    return render
