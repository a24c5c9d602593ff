"""The newest checkpoint on the volume, as the trainers told last.

A trainer says at its start which checkpoint it found whole, or that there is none, and then tells of every
one that it saves. What it says replaces what was known: checkpoints can be damaged or removed.
"""

from llmfinetune_operator.policies.preparation import Preparation, preparation
from llmfinetune_operator.policies.storage import storage
from llmfinetune_operator.policies.view import View, attempt_of
from llmfinetune_operator.resources import names
from llmfinetune_trainer.config.messages import CheckpointFacts


def newest_checkpoint(view: View) -> CheckpointFacts | None:
    """The newest checkpoint, None where there is none: a volume that is lost took its checkpoints along."""
    if preparation(view) is not Preparation.DONE or not storage(view).usable:
        return None
    told = view.report.checkpoint if view.report is not None and not _is_late(view) else None
    if told is None:
        return view.previous.checkpoint
    return told if isinstance(told, CheckpointFacts) else None


def newest_step(view: View) -> int:
    """Step of the newest checkpoint, 0 where there is none."""
    checkpoint = newest_checkpoint(view)
    return checkpoint.step if checkpoint else 0


def _is_late(view: View) -> bool:
    """Whether the report is of an attempt that another one has followed. Its workers were gone by then."""
    present = attempt_of(view.training_job)
    if view.report is None or present is None:
        return False
    return names.is_earlier(view.report.attempt, names.attempt_id(view.owner.uid, present))
