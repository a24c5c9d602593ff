"""What the shell remembers of one fine-tune between reconciles; all of it can be lost at a restart."""

from dataclasses import dataclass, field
from datetime import datetime

from llmfinetune_operator.observed import ChildRef, Object


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An object that the API server did not take; the same is offered again only after `until`."""

    desired: Object
    message: str
    until: datetime


@dataclass
class Memory:
    """Kept from one reconcile to the next."""

    has_written: bool = False
    """Whether the reconcile that is going on has changed anything."""
    last_status_write: datetime | None = None
    refused: dict[ChildRef, Refusal] = field(default_factory=dict)
    unwatched: set[ChildRef] = field(default_factory=set)
    """What is there under a child's name although no watch tells of it: most likely somebody else's."""
    waiting: set[str] = field(default_factory=set)
    warnings: tuple[Object, ...] = ()
    warnings_due: datetime | None = None
    warnings_interval: float = 0.0

    @property
    def errors(self) -> dict[ChildRef, str]:
        """What the API server said about what it refused."""
        return {ref: refusal.message for ref, refusal in self.refused.items()}
