"""What a sign of failure stands for."""

from typing import NamedTuple

from llmfinetune_trainer.config.messages import Category


class Known(NamedTuple):
    """The meaning of an exit code, a reason or an event."""

    category: Category
    reason: str
    message: str
    hint: str
