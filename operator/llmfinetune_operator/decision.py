"""What one reconcile wants done. Values only; `reconcile` acts on them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.observed import ChildRef, Object


@dataclass(frozen=True, kw_only=True)
class EventToPost:
    """A Kubernetes Event about the fine-tune, posted only after the status write succeeded."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """One object to delete, only while it still is the one that was seen."""

    ref: ChildRef
    uid: str
    at_once: bool = False
    """Whether nobody's word is waited for that what it stands for has ended."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Desired objects, deletions, the whole status, events, and when to look again without any event."""

    apply: tuple[Object, ...] = ()
    """Complete objects for server-side apply, in order. Those that match the live ones are not written."""
    delete: tuple[Deletion, ...] = ()
    status: dict[str, Any]
    """The complete status; written only where it differs from the stored one."""
    events: tuple[EventToPost, ...] = ()
    forget_report: bool = False
    """Whether what trainers reported was about a volume that is lost."""
    failure: FailureStatus | None = None
    """The failure that this status tells of for the first time."""
    wake_at: datetime | None = None
