"""What becomes of a failure of each category: whether it is tried again, what that costs, and the way out."""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from llmfinetune_trainer.config.messages import Category


class Again(Enum):
    """How a failure that may pass is tried again. One that is told as not retryable never is."""

    NEVER = "never"
    UNLESS_MISSING = "never; a missing Secret, ConfigMap or key is waited for"
    HEALS = "by itself, once it is put right"
    FREE = "at once, as often as it happens; never counted against `runPolicy.maxRestarts`"
    COUNTED = "after 10 s, 20 s, 40 s … 5 min, until `runPolicy.maxRestarts`; in preparation four times"
    REMEDY = "twice, each time with half the tokens computed at once; then, and in preparation, never"


class Rule(NamedTuple):
    """One category, for the operator and for people."""

    again: Again
    cause: str
    way_out: str


CATEGORIES: Final[Mapping[Category, Rule]] = {
    "UserError": Rule(
        Again.NEVER,
        "target modules that match nothing, settings that do not go together",
        "the message lists all of them and near matches",
    ),
    "Data": Rule(
        Again.UNLESS_MISSING,
        "missing column, empty file, nothing that carries loss, digest mismatch",
        "fix the data or `spec.dataset`",
    ),
    "ModelAccess": Rule(
        Again.UNLESS_MISSING,
        "not found, gated, not a model",
        "`spec.model`, and `model.tokenSecretRef` for gated ones",
    ),
    "OutOfMemory": Rule(
        Again.REMEDY,
        "limit too small",
        "a larger `workers.resources.limits.memory`, or a shorter `training.maxSequenceLength`",
    ),
    "DiskFull": Rule(
        Again.NEVER,
        "volume, or the pod's own scratch space, too small",
        "a larger `storage.size`, room on `storage.existingClaim`, or a smaller `checkpoint.keep`",
    ),
    "Image": Rule(
        Again.HEALS,
        "name wrong, no access to the registry, or built for another processor",
        "`runtime.image`, `runtime.imagePullSecrets`; after 10 minutes it fails for good, if fewer than "
        "`workers.minReplicas` can start",
    ),
    "Scheduling": Rule(
        Again.HEALS,
        "no node has room or matches `workers.nodeSelector`; a quota is used up",
        "requests, selector, quota, or more nodes",
    ),
    "Volume": Rule(
        Again.HEALS,
        "storage class, claim or volume missing, or attached elsewhere",
        "`storage`, or what the message names",
    ),
    "Network": Rule(
        Again.COUNTED,
        "a peer, the rendezvous or a source could not be reached; no progress for long",
        "nothing while it passes; when it stays, what the message names",
    ),
    "Preempted": Rule(
        Again.FREE,
        "told to stop, or pods of a higher priority took the place",
        "nothing: it goes on from its last checkpoint; `runPolicy.priorityClassName` where it happens often",
    ),
    "Evicted": Rule(
        Again.FREE,
        "a node was drained or ran short of memory or disk",
        "nothing: it goes on from its last checkpoint; truer `workers.resources.requests` where it happens "
        "often",
    ),
    "NodeLost": Rule(
        Again.FREE,
        "a node went away, shut down or stopped to answer",
        "nothing: it goes on from its last checkpoint",
    ),
    "Diverged": Rule(
        Again.NEVER,
        "loss became NaN or infinite, or exploded; the step is named",
        "a lower `training.learningRate`, or the data of that step; the last checkpoint is kept",
    ),
    "Deadline": Rule(
        Again.NEVER,
        "`runPolicy.activeDeadline` passed",
        "a longer one, more workers, or fewer steps",
    ),
    "Internal": Rule(
        Again.COUNTED,
        "a defect (never tried again where the trainer says so), or a process killed by somebody",
        "please report it with `status.failure`",
    ),
}


def is_free(category: Category) -> bool:
    """Whether a failure of this category never counts against `runPolicy.maxRestarts`."""
    return CATEGORIES[category].again is Again.FREE
