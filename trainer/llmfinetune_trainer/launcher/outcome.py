"""What a training process leaves for the launcher, and the launcher for Kubernetes."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import ENV_ATTEMPT
from llmfinetune_trainer.config.messages import MAX_TERMINATION_BYTES, Category, Failure, TerminationMessage
from llmfinetune_trainer.errors import RunError, disk_full, is_disk_full, run_error

ENV_OUTCOME: Final = "LLMFINETUNE_OUTCOME"
"""Names the file into which the training process writes its outcome."""
ENV_RESTARTS: Final = "LLMFINETUNE_RESTARTS"
"""Tells a training process how often training was started again in its pod."""
LOCAL_ATTEMPT: Final = "local"
"""Name of the attempt outside of a cluster."""

EXIT_CODES: Final[Mapping[Category, int]] = {
    "UserError": exit_codes.USER_ERROR,
    "Data": exit_codes.USER_ERROR,
    "ModelAccess": exit_codes.USER_ERROR,
    "Volume": exit_codes.USER_ERROR,
    "Diverged": exit_codes.DIVERGED,
    "DiskFull": exit_codes.DISK_FULL,
    "Network": exit_codes.RETRYABLE,
    "Preempted": exit_codes.PREEMPTED,
}
"""How a process ends by the category of its failure; others are defects of this program."""


def attempt_of(environment: Mapping[str, str]) -> str:
    """The attempt that this process belongs to."""
    return environment.get(ENV_ATTEMPT) or LOCAL_ATTEMPT


def failure_of(error: BaseException) -> RunError:
    """Any error as one that says its category and exit code."""
    if isinstance(error, RunError):
        return error
    if is_disk_full(error):
        return disk_full(Path("/workspace"), str(error))
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
        return run_error(
            "OutOfMemory",
            "AllocationFailed",
            f"not enough memory: {error}",
            hint="raise spec.workers.resources.limits.memory, or lower training.maxSequenceLength",
            exit_code=exit_codes.INTERNAL,
        )
    where = traceback.extract_tb(error.__traceback__)
    at = f" ({Path(where[-1].filename).name}:{where[-1].lineno})" if where else ""
    return run_error(
        "Internal",
        type(error).__name__.replace("_", ""),
        f"{type(error).__name__}: {error}{at}",
        hint="this is a defect: report it with the pod's log",
        exit_code=exit_codes.INTERNAL,
    )


def encode(message: TerminationMessage, *, limit: int = MAX_TERMINATION_BYTES) -> str:
    """JSON of at most `limit` bytes: to fit, first the log loses lines, then the failure words."""
    text = message.model_dump_json(by_alias=True, exclude_none=True)
    failure = message.failure
    if len(text.encode()) <= limit:
        return text
    if message.log_tail:
        kept = message.log_tail[len(message.log_tail) // 3 + 1 :] or None
        return encode(message.model_copy(update={"log_tail": kept}), limit=limit)
    if failure is None:
        return text
    length = max(len(failure.message), len(failure.hint)) * 2 // 3
    shorter = failure.model_copy(update={"message": failure.message[:length], "hint": failure.hint[:length]})
    return encode(message.model_copy(update={"failure": shorter}), limit=limit)


def write_outcome(path: Path, message: TerminationMessage) -> None:
    """Writes a termination message. Not by renaming: Kubernetes reads the very file that it mounted."""
    path.write_text(encode(message), encoding="utf-8")


def read_outcome(path: Path) -> TerminationMessage | None:
    """What the training process left, if it left anything whole."""
    try:
        return TerminationMessage.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def failure(category: Category, reason: str, message: str, *, hint: str, retryable: bool) -> Failure:
    """A failure that the launcher itself found."""
    return Failure(category=category, reason=reason, message=message[:1024], hint=hint, retryable=retryable)
