"""Errors that a person can act on: every one says what is wrong and what to do about it."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command, stable so that scripts can tell the cases apart."""

    OK = 0
    FAILED = 1
    USAGE = 2
    MISSING_REQUIREMENT = 3
    BUSY = 4
    NOT_RUNNING = 5
    TIMEOUT = 6


class DevClusterError(Exception):
    """Something that stops the command, with a hint at the remedy."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def with_hint(self) -> str:
        """The message and the hint, where there is one place for both."""
        return f"{self} ({self.hint})" if self.hint else str(self)


class MissingRequirementError(DevClusterError):
    """The machine lacks something: a tool, a right, memory or disk."""

    exit_code = ExitCode.MISSING_REQUIREMENT


class BusyError(DevClusterError):
    """Another run holds the cluster."""

    exit_code = ExitCode.BUSY


class NotRunningError(DevClusterError):
    """The command needs a running cluster and there is none."""

    exit_code = ExitCode.NOT_RUNNING


class NotReadyInTimeError(DevClusterError):
    """Something did not become ready within its time."""

    exit_code = ExitCode.TIMEOUT
