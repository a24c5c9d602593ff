"""Why a container ended: from its own termination message, else from its exit code and the kubelet's
reason."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.policies.pods import Termination
from llmfinetune_operator.policies.trouble import failure
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.messages import Category, TerminationMessage

FIRST_RETRYABLE_EXIT_CODE = 128
"""From here on a signal or a lost peer ended the container, and the training operator replaces its pod."""


class Known(NamedTuple):
    """What an exit code means."""

    category: Category
    reason: str
    message: str
    hint: str


_EXIT_CODES: Mapping[int, Known] = {
    exit_codes.USER_ERROR: Known(
        "UserError",
        "InvalidInput",
        "the manifest, the data or the model is at fault",
        "read the log of the pod",
    ),
    exit_codes.INTERNAL: Known(
        "Internal",
        "InternalError",
        "the trainer ended with a defect of its own",
        "report the log of the pod as a defect",
    ),
    exit_codes.DIVERGED: Known(
        "Diverged",
        "LossDiverged",
        "the loss became NaN or infinite",
        "lower training.learningRate, or look for broken rows in the data",
    ),
    exit_codes.DISK_FULL: Known(
        "DiskFull", "VolumeFull", "the volume has no room left", "raise storage.size or lower checkpoint.keep"
    ),
    exit_codes.RETRYABLE: Known(
        "Network",
        "WorkerLostPeers",
        "a worker lost its peers or the network",
        "nothing to do: training goes on from its last checkpoint",
    ),
    exit_codes.PREEMPTED: Known(
        "Preempted",
        "WorkerPreempted",
        "a worker was told to stop, and wrote a checkpoint",
        "nothing to do: training goes on from its last checkpoint",
    ),
}
_OUT_OF_MEMORY = Known(
    "OutOfMemory",
    "OutOfMemory",
    "the container needed more memory than its limit",
    "raise workers.resources.limits.memory, or lower training.maxSequenceLength or training.batchSize",
)
_DISRUPTED = Known(
    "Preempted",
    "PodEvicted",
    "the pod was evicted, or its node went away",
    "nothing to do: training goes on from its last checkpoint",
)
_KILLED = Known(
    "Internal",
    "ContainerKilled",
    "the container was ended by a signal",
    "read the events of the pod and of its node",
)
_UNKNOWN = Known(
    "Internal", "ContainerFailed", "the container ended with an error", "read the log of the pod"
)
_CANNOT_START = Known(
    "Image",
    "ContainerCannotRun",
    "the image's command could not be started",
    "use an image that holds the llmfinetune command (runtime.image), built for this processor",
)


def parse_message(text: str) -> TerminationMessage | None:
    """The trainer's termination message, None where the text is something else."""
    try:
        return TerminationMessage.model_validate_json(text)
    except ValidationError:
        return None


def explain(ended: Termination) -> FailureStatus:
    """Why a container failed, and what to do about it."""
    message = parse_message(ended.message)
    if message is not None and message.failure is not None:
        told = message.failure
        return failure(
            told.category,
            told.reason,
            told.message,
            hint=told.hint,
            retryable=told.retryable,
            pod=ended.pod,
            exit_code=ended.exit_code,
        )
    known = _known(ended)
    return failure(
        known.category,
        known.reason,
        f"{known.message} (pod {ended.pod}, exit code {ended.exit_code})",
        hint=known.hint,
        retryable=is_retryable(ended),
        pod=ended.pod,
        exit_code=ended.exit_code,
        log_tail=ended.message if message is None else None,
    )


def is_retryable(ended: Termination) -> bool:
    """Whether another try of the same may succeed, judged by the exit code alone."""
    return ended.disrupted or ended.exit_code >= FIRST_RETRYABLE_EXIT_CODE


def is_preemption(ended: Termination) -> bool:
    """Whether the container was told to go, rather than failed."""
    return ended.disrupted or ended.exit_code == exit_codes.PREEMPTED


def _known(ended: Termination) -> Known:
    if ended.reason == "OOMKilled":
        return _OUT_OF_MEMORY
    if ended.disrupted:
        return _DISRUPTED
    if ended.reason in {"ContainerCannotRun", "StartError"}:
        return _CANNOT_START
    if ended.exit_code in _EXIT_CODES:
        return _EXIT_CODES[ended.exit_code]
    return _KILLED if ended.exit_code >= FIRST_RETRYABLE_EXIT_CODE else _UNKNOWN
