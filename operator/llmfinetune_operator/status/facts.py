"""What the policies found out in one cycle: with stored status and report, all a status is made of."""

from dataclasses import dataclass

from llmfinetune_operator.api.v1alpha1 import FailureStatus, Remedy
from llmfinetune_operator.policies.counts import Counts
from llmfinetune_operator.policies.preparation import Preparation
from llmfinetune_operator.policies.room import Room
from llmfinetune_operator.policies.storage import Storage
from llmfinetune_operator.policies.trouble import Trouble
from llmfinetune_trainer.config.messages import Result


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Findings of one cycle."""

    storage: Storage
    preparation: Preparation
    attempt: int
    counts: Counts
    room: Room
    trouble: Trouble | None = None
    """What keeps the fine-tune from going on, or ended it."""
    ending: FailureStatus | None = None
    """How a worker ended in this cycle that is replaced and costs nothing."""
    remedy: Remedy | None = None
    """What the next attempt does otherwise than the one before it."""
    result: Result | None = None
    """The result, once the fine-tune has succeeded."""

    @property
    def succeeded(self) -> bool:
        """Whether the fine-tune has reached its goal."""
        return self.result is not None

    @property
    def failed(self) -> bool:
        """Whether it never will."""
        return self.trouble is not None and self.trouble.final
