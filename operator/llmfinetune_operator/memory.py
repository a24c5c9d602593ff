"""What the shell remembers of one fine-tune between reconciles; all of it can be lost at a restart.

Waits are remembered so that a clock that is set back ends them, instead of making them longer.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from llmfinetune_operator.observed import ChildRef, Object


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An object that the API server did not take; the same is offered again only after a while."""

    desired: Object
    message: str
    at: datetime

    def still_holds(self, desired: Object, now: datetime, span: timedelta) -> bool:
        """Say whether it is too early to offer the object again."""
        return self.desired == desired and timedelta() <= now - self.at < span


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

    def are_warnings_due(self, now: datetime) -> bool:
        """Say whether the warnings are to be read."""
        if self.warnings_due is None:
            return False
        return not timedelta() < self.warnings_due - now <= timedelta(seconds=self.warnings_interval)

    @property
    def errors(self) -> dict[ChildRef, str]:
        """What the API server said about what it refused."""
        return {ref: refusal.message for ref, refusal in self.refused.items()}
