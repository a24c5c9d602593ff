"""Where progress goes."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from llmfinetune_trainer.config.messages import Report


class StepRecord(NamedTuple):
    """One finished optimizer step."""

    step: int
    epoch: float
    cursor: int
    """Training samples visited so far."""
    samples: str
    """Fingerprint of the samples of this step, in order."""
    loss: float
    learning_rate: float
    gradient_norm: float
    num_tokens: int
    seconds: float
    world_size: int


class History(NamedTuple):
    """What lies behind the weights that training starts from or goes on with."""

    step: int = 0
    """Optimizer steps done."""
    records: Sequence[StepRecord] = ()
    """The last of these steps: whoever should have written them down may have been killed before it did."""


NO_HISTORY = History()
"""Nothing was done yet."""


class Sink(Protocol):
    """Takes progress. No method blocks for long, none raises."""

    def report(self, report: Report, *, urgent: bool) -> None:
        """The run as it stands; `urgent` where a phase, a checkpoint or the end must not wait."""

    def step(self, record: StepRecord) -> None:
        """One finished step."""

    def close(self) -> None:
        """Delivers what is left."""
