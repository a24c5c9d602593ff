"""How a worker pod ends: exit code and termination message from what its processes left. Pure.

The training operator replaces a pod that ends with 128 or more, and fails the job below; the first pod that
ends with 0 ends the job well. So 0 is only for a result that is there, and never for a pod that was told to
stop.
"""

import signal
from typing import NamedTuple

from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.messages import TerminationMessage
from llmfinetune_trainer.launcher.outcome import EXIT_CODES, failure

KILLED = 128 + signal.SIGKILL
FIRST_REPLACED = 128
"""From here on the training operator replaces the pod, instead of failing the job."""


class Ended(NamedTuple):
    """What is known when torchrun's agent has ended."""

    agent_code: int
    """As `subprocess` reports it: negative for a signal."""
    told_to_stop: bool
    """Whether SIGTERM or SIGINT came."""
    num_oom_kills: int
    """Processes of this container that the kernel killed for memory."""
    outcome: TerminationMessage | None
    """What the training process left."""
    log_tail: str = ""
    """The last lines of all processes' error output, without secrets."""


def ending(ended: Ended, *, attempt: str) -> tuple[int, TerminationMessage]:
    """Exit code of the pod and what it says. How something failed is told with the last lines of the log."""
    code, message = _ending(ended, attempt=attempt)
    has_failed = message.failure is not None
    return code, message.model_copy(update={"log_tail": ended.log_tail or None}) if has_failed else message


def _ending(ended: Ended, *, attempt: str) -> tuple[int, TerminationMessage]:
    if ended.told_to_stop:
        return exit_codes.PREEMPTED, _stopped(ended, attempt)
    outcome = ended.outcome
    if outcome is not None and outcome.result is not None and ended.agent_code == 0:
        return exit_codes.OK, outcome
    if outcome is not None and outcome.failure is not None:
        code = EXIT_CODES.get(outcome.failure.category, exit_codes.INTERNAL)
        return (KILLED if outcome.failure.retryable and code < FIRST_REPLACED else code), outcome
    if ended.num_oom_kills or ended.agent_code in {-signal.SIGKILL, KILLED}:
        return KILLED, _killed(ended, attempt)
    return exit_codes.RETRYABLE, _lost(ended, attempt)


def _stopped(ended: Ended, attempt: str) -> TerminationMessage:
    found = failure(
        "Preempted",
        "Stopped",
        "told to stop",
        hint="nothing to do: training goes on from the newest checkpoint",
        retryable=True,
    )
    result = ended.outcome.result if ended.outcome is not None else None
    return TerminationMessage(attempt=attempt, result=result, failure=None if result else found)


def _killed(ended: Ended, attempt: str) -> TerminationMessage:
    if not ended.num_oom_kills:
        found = failure(
            "Internal",
            "Killed",
            "the training process was killed (SIGKILL) by someone",
            hint="nothing to do where it happens once: training goes on from the newest checkpoint; else "
            "read the events of the node",
            retryable=True,
        )
    else:
        found = failure(
            "OutOfMemory",
            "OOMKilled",
            "the training process needed more memory than the pod's limit",
            hint="raise spec.workers.resources.limits.memory, or lower training.maxSequenceLength",
            retryable=True,
        )
    return TerminationMessage(attempt=attempt, failure=found)


def _lost(ended: Ended, attempt: str) -> TerminationMessage:
    found = failure(
        "Network",
        "RendezvousLost",
        f"lost the other workers or their rendezvous (torchrun ended with {ended.agent_code})",
        hint="nothing to do: training goes on from the newest checkpoint when the workers meet again",
        retryable=True,
    )
    return TerminationMessage(attempt=attempt, failure=found)
