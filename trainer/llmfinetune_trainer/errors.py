"""Errors that end a command: each says what was wrong, where, and what to do, and carries its exit code.

Every layer raises `RunError`. The command line prints it; the launcher puts its failure into the pod's
termination message.
"""

import errno
from pathlib import Path

from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.messages import Category, Failure

MAX_MESSAGE = 1024
"""Characters that a failure's message and hint may have."""


class RunError(Exception):
    """Ends the command with `exit_code`. `str()` is the whole text, `failure` its bounded form."""

    def __init__(self, message: str, *, failure: Failure, exit_code: int) -> None:
        super().__init__(message)
        self.failure = failure
        self.exit_code = exit_code

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\n{self.failure.hint}" if self.failure.hint else message


def run_error(
    category: Category,
    reason: str,
    message: str,
    *,
    hint: str,
    retryable: bool = False,
    exit_code: int = exit_codes.USER_ERROR,
) -> RunError:
    """An error of any category; the functions below name the common ones."""
    failure = Failure(
        category=category, reason=reason, retryable=retryable, message=_bounded(message), hint=_bounded(hint)
    )
    return RunError(message, failure=failure, exit_code=exit_code)


def user_error(reason: str, message: str, *, hint: str) -> RunError:
    """The manifest asks for something that cannot be."""
    return run_error("UserError", reason, message, hint=hint)


def data_error(reason: str, message: str, *, hint: str) -> RunError:
    """The data set is missing, unreadable, or unfit for what the manifest asks."""
    return run_error("Data", reason, message, hint=hint)


def model_access_error(reason: str, message: str, *, hint: str) -> RunError:
    """The model cannot be had: not found, gated, or not a model."""
    return run_error("ModelAccess", reason, message, hint=hint)


def network_error(reason: str, message: str, *, hint: str) -> RunError:
    """A server did not answer; the next try may succeed."""
    return run_error("Network", reason, message, hint=hint, retryable=True, exit_code=exit_codes.RETRYABLE)


def volume_error(reason: str, message: str, *, hint: str) -> RunError:
    """A volume is not mounted, or does not allow what is needed."""
    return run_error("Volume", reason, message, hint=hint)


def disk_full(path: Path, detail: str = "") -> RunError:
    """The volume that holds `path` has no room left; `detail` says what it was needed for."""
    message = f"no space left on the volume that holds {path}" + (f": {detail}" if detail else "")
    hint = (
        "free space on the volume, or take a larger one (in a cluster: spec.storage.size); a smaller "
        "spec.checkpoint.keep needs less"
    )
    return run_error("DiskFull", "NoSpaceLeft", message, hint=hint, exit_code=exit_codes.DISK_FULL)


def diverged(reason: str, message: str, *, hint: str) -> RunError:
    """The loss became NaN or infinite, or exploded."""
    return run_error("Diverged", reason, message, hint=hint, exit_code=exit_codes.DIVERGED)


def is_disk_full(error: BaseException) -> bool:
    """Whether an error or one that caused it says that no space is left, in whatever words of a library."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        if isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        if "os error 28" in str(cause) or "No space left on device" in str(cause):
            return True
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return False


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"
