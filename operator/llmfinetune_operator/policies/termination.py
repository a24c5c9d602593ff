"""Why a container ended: by its termination message, else by its exit code and the kubelet's reason."""

from collections.abc import Mapping

from pydantic import ValidationError

from llmfinetune_operator.api.v1alpha1 import FailureStatus
from llmfinetune_operator.policies.disruptions import LOST_TRACK, disruption
from llmfinetune_operator.policies.known import Known
from llmfinetune_operator.policies.pods import Termination
from llmfinetune_operator.policies.trouble import failure
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.messages import TerminationMessage

FIRST_RETRYABLE_EXIT_CODE = 128
"""From here on a signal or a lost peer ended the container, and the training operator replaces its pod."""


_EXIT_CODES: Mapping[int, Known] = {
    exit_codes.USER_ERROR: Known(
        "UserError",
        "InvalidInput",
        "the manifest, the data or the model is at fault",
        "read status.failure.logTail, or the log of the pod",
    ),
    exit_codes.INTERNAL: Known(
        "Internal",
        "InternalError",
        "the trainer ended with a defect of its own",
        "report status.failure as a defect",
    ),
    exit_codes.DIVERGED: Known(
        "Diverged",
        "LossDiverged",
        "the loss became NaN or infinite, or exploded",
        "lower training.learningRate, or look for broken rows in the data",
    ),
    exit_codes.DISK_FULL: Known(
        "DiskFull",
        "VolumeFull",
        "the volume has no room left",
        "take a larger storage.size, or make room on the claim that storage.existingClaim names; "
        "a smaller checkpoint.keep needs less",
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
_KILLED = Known(
    "Internal",
    "ContainerKilled",
    "the container was ended by a signal",
    "read the events of the pod and of its node",
)
_UNKNOWN = Known(
    "Internal",
    "ContainerFailed",
    "the container ended with an error",
    "read status.failure.logTail, or the log of the pod",
)
_ADDED = Known(
    "Internal",
    "AddedContainerFailed",
    "a container that something in the cluster added to the pod ended with an error",
    "read the log of that container, and put it right or have pods of fine-tunes left out by what added it",
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
    """Why a container failed, and what to do about it: in its own words where it had any."""
    message = parse_message(ended.message)
    told = message.failure if message is not None else None
    was_disrupted = bool(ended.disruption) and (told is None or told.retryable)
    if told is not None and not was_disrupted:
        return failure(
            told.category,
            told.reason,
            told.message,
            hint=told.hint,
            retryable=told.retryable,
            pod=ended.pod,
            exit_code=ended.exit_code,
            log_tail=message.log_tail if message is not None else None,
        )
    known = _known(ended)
    details = f": {ended.told}" if ended.told else ""
    container = f", container {ended.added}" if ended.added else ""
    return failure(
        known.category,
        known.reason,
        f"{known.message} (pod {ended.pod}{container}, exit code {ended.exit_code}){details}",
        hint=known.hint,
        retryable=was_disrupted or bool(ended.added) or ended.exit_code >= FIRST_RETRYABLE_EXIT_CODE,
        pod=ended.pod,
        exit_code=ended.exit_code,
        log_tail=ended.message if message is None else message.log_tail,
    )


def _known(ended: Termination) -> Known:
    if ended.reason == "OOMKilled" and not ended.added:
        return _OUT_OF_MEMORY
    if ended.disruption:
        return disruption(ended.disruption, ended.told)
    if ended.added:
        return _ADDED
    if ended.reason in LOST_TRACK:
        return LOST_TRACK[ended.reason]
    if ended.reason in {"ContainerCannotRun", "StartError"}:
        return _CANNOT_START
    if ended.exit_code in _EXIT_CODES:
        return _EXIT_CODES[ended.exit_code]
    return _KILLED if ended.exit_code >= FIRST_RETRYABLE_EXIT_CODE else _UNKNOWN
