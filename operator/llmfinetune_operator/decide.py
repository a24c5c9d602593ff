"""The operator's core: from everything observed to everything wanted, as one pure function."""

from datetime import datetime

from llmfinetune_operator.decision import Decision
from llmfinetune_operator.observed import Observed
from llmfinetune_operator.settings import Settings


def decide(observed: Observed, settings: Settings, now: datetime) -> Decision:
    """One step of the fine-tune towards its spec. `now` is aware, in UTC."""
    raise NotImplementedError
