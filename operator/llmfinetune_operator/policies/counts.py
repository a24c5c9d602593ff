"""How often workers started again, and what of: the memory of `policies.losses`, kept in the status."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from llmfinetune_operator.api.status import WorkerPod
from llmfinetune_operator.policies.checkpoints import newest_step
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.times import format_time


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The counts, with what this cycle adds."""

    restarts: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    checkpoint_at_failure: int = 0
    last_restart_time: str | None = None
    last_restart_reason: str | None = None
    next_start_time: str | None = None
    pods: tuple[WorkerPod, ...] = ()

    @classmethod
    def of(cls, view: View) -> Self:
        """What the status remembers. A checkpoint that is newer than at the last failure ends the row; one
        that was lost since is not to be made up for first."""
        known = view.previous.workers
        if known is None:
            return cls()
        newest = newest_step(view)
        at_failure = min(known.checkpoint_at_failure or 0, newest)
        return cls(
            restarts=known.restarts,
            failures=known.failures,
            failures_in_a_row=0 if newest > at_failure else known.failures_in_a_row,
            checkpoint_at_failure=at_failure,
            last_restart_time=known.last_restart_time,
            last_restart_reason=known.last_restart_reason,
            pods=tuple(known.pods),
        )

    def restarted(self, view: View, reason: str) -> Self:
        """One more restart that is nobody's failure."""
        return replace(
            self,
            restarts=self.restarts + 1,
            last_restart_time=format_time(view.now),
            last_restart_reason=reason,
        )

    def failed(self, view: View, reason: str) -> Self:
        """One more restart that counts against `runPolicy.maxRestarts`."""
        return replace(
            self.restarted(view, reason),
            failures=self.failures + 1,
            failures_in_a_row=self.failures_in_a_row + 1,
            checkpoint_at_failure=newest_step(view),
        )

    def without_pods(self) -> Self:
        """The counts, when pods go because they were told to."""
        return replace(self, pods=())

    def starting_at(self, time: datetime) -> Self:
        """The counts, while workers wait for another try."""
        return replace(self, next_start_time=format_time(time))
