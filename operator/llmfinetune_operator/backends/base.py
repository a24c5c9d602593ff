"""What the operator asks of what runs workers: one object per fine-tune, and how to read its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from llmfinetune_operator.observed import ChildRef, Object
from llmfinetune_operator.resources.pod import PodSettings
from llmfinetune_operator.resources.volumes import Volume


class JobState(Enum):
    """Where a job stands."""

    ACTIVE = "Active"
    """Not finished: its pods wait, run, or are suspended."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The workers that are wanted."""

    pod: PodSettings
    volumes: Sequence[Volume]
    attempt: int
    replicas: int
    min_replicas: int
    max_replicas: int
    suspend: bool
    queue: str | None
    """The Kueue LocalQueue that the job is put into."""
    on_one_node: bool
    """Whether the volume can be mounted by one node at a time only."""
    template_hash: str


class Backend(Protocol):
    """A kind of training job."""

    def ref(self, name: str) -> ChildRef:
        """Identity of the fine-tune's job."""

    def workers_object(self, workers: Workers) -> dict[str, Any]:
        """The complete job."""

    def state(self, live: Object) -> JobState:
        """Where the live job stands."""

    def is_suspended(self, live: Object) -> bool:
        """Whether the live job has no pods for now, and is to have none."""

    def replicas(self, live: Object) -> int:
        """How many workers the live job asks for."""

    def finished_at(self, live: Object) -> datetime | None:
        """When it succeeded or failed, None while it has not."""

    def failure_message(self, live: Object) -> str:
        """Why it failed, in its own words; empty where it has not."""
