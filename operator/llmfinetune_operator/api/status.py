"""The status: what the operator observed. Numbers with fractions are strings; everything is bounded."""

from typing import Annotated, Literal

from pydantic import Field

from llmfinetune_trainer.config.base import Message
from llmfinetune_trainer.config.messages import (
    MAX_HISTORY,
    MAX_LOG_TAIL,
    Category,
    CheckpointFacts,
    DatasetFacts,
    Digest,
    EstimateFacts,
    Failure,
    Long,
    RuntimeFacts,
    Short,
    Step,
)

MAX_CONDITIONS = 16
MAX_WORKER_PODS = 999
MAX_REMEDIES = 2

FineTunePhase = Literal[
    "Pending",
    "Queued",
    "Preparing",
    "Training",
    "Evaluating",
    "Exporting",
    "Succeeded",
    "Failed",
    "Suspended",
]
ConditionStatus = Literal["True", "False", "Unknown"]
Number = Annotated[str, Field(max_length=32, pattern=r"^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$")]
"""A decimal number as text, such as 1.83 or 1.4e-4."""
Timestamp = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
"""RFC 3339, in UTC."""
Generation = Annotated[int, Field(ge=0, le=2**53)]
Workers = Annotated[int, Field(ge=0, le=4096)]
Tokens = Annotated[int, Field(ge=1, le=2**31 - 1)]
Times = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Condition(Message):
    """One aspect of the current state."""

    type: str = Field(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$")
    """Name of the aspect: Ready, Reconciling, Stalled, StorageReady, Prepared, Admitted, WorkersScheduled,
    Training or Succeeded."""
    status: ConditionStatus
    """Whether it holds."""
    reason: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$")
    """Why, in one CamelCase word for programs."""
    message: Long = ""
    """Why, for people."""
    last_transition_time: Timestamp
    """When the status last changed."""
    observed_generation: Generation | None = None
    """Generation of the spec that it was judged by."""


class Progress(Message):
    """How far training is."""

    percent: int = Field(ge=0, le=100)
    """Part of the optimizer steps that is done."""
    step: Step
    """Optimizer steps done."""
    total_steps: Step
    """Optimizer steps in all."""
    epoch: Number | None = None
    """Passes over the data done."""
    eta_seconds: Annotated[int, Field(ge=0, le=10**9)] | None = None
    """Seconds until the end, as of the latest report."""
    time: Timestamp | None = None
    """When the step was first reported."""


class Metrics(Message):
    """The latest measurements."""

    loss: Number | None = None
    """Training loss: the mean over supervised tokens, in nats."""
    eval_loss: Number | None = None
    """Loss on the held-out rows."""
    eval_loss_before: Number | None = None
    """Loss on the held-out rows before the first step."""
    perplexity: Number | None = None
    """Perplexity on the held-out rows: the exponential of evalLoss."""
    learning_rate: Number | None = None
    """Learning rate of the latest step."""
    tokens_per_second: Number | None = None
    """Tokens that all workers together process in one second."""


class LossPoint(Message):
    """One point of the loss curve."""

    step: Step
    """Optimizer step."""
    loss: Number
    """Training loss there."""


class WorkerPod(Message):
    """One worker's pod, as it was seen last."""

    name: str = Field(max_length=253)
    """Name of the pod."""
    uid: str = Field(max_length=64)
    """Identity of the pod: another one under the same name means that the worker was replaced."""
    lost: bool = False
    """Whether it ended before its work was done, and was counted as such."""


class RoomStatus(Message):
    """What is known of the cluster's room for workers, while it has not got enough."""

    limit: Workers | None = None
    """Workers that training goes on with, as there is no room for more."""
    waiting_since: Timestamp | None = None
    """Since when workers that the training job asks for have had no node to run on."""
    retry_time: Timestamp | None = None
    """When all the workers that are wanted are asked for again."""
    retries: Times = 0
    """How many times that was in vain; every further wait is longer."""
    message: Long | None = None
    """What the scheduler said of the workers that found no room."""


class WorkersStatus(Message):
    """The workers."""

    desired: Workers
    """Workers wanted."""
    ready: Workers
    """Workers running and ready."""
    selector: Short
    """Label selector of the worker pods, for autoscalers."""
    restarts: Times = 0
    """How many times workers were lost and training started again. Workers lost together count once."""
    failures: Times = 0
    """How many of the restarts came from a failure of the workers; these count against maxRestarts."""
    last_restart_time: Timestamp | None = None
    """When workers were lost last."""
    last_restart_reason: Annotated[str, Field(max_length=64)] | None = None
    """What of: a category of failure, Deleted where a pod went without a word, or NoProgress."""
    failures_in_a_row: Times = 0
    """Failures since there was a new checkpoint; each doubles the wait before the next try."""
    checkpoint_at_failure: Step | None = None
    """Step of the newest checkpoint when workers failed last, or of the one before where that was lost."""
    next_start_time: Timestamp | None = None
    """When workers that failed start again, while they wait for it."""
    restarts_in_pod: Times | None = None
    """How many times training was started again inside the first worker's present pod, as a process ended or
    a peer was lost."""
    rescales: Times = 0
    """How many times the number of workers changed while training ran."""
    last_rescale_reason: Annotated[str, Field(max_length=64)] | None = None
    """Why the number changed last: Scaled, InsufficientResources or ResourcesAvailable."""
    room: RoomStatus | None = None
    pods: list[WorkerPod] = Field(default=[], max_length=MAX_WORKER_PODS)
    """The workers' pods."""


class Remedy(Message):
    """Something that was changed by itself after a failure. The results stay the same."""

    category: Category
    """The failure that it is meant to prevent."""
    attempt: Times
    """First attempt that runs with it."""
    time: Timestamp
    """When it was decided."""
    micro_batch_tokens_before: Tokens
    """Most tokens that a worker computed at once before."""
    micro_batch_tokens: Tokens
    """Most tokens that a worker computes at once since."""


class Output(Message):
    """What the fine-tune made."""

    adapter: str = Field(max_length=1024)
    """Where the adapter lies: `pvc://claim/path`, as a source of another fine-tune could name it."""
    sha256: Digest
    """Digest over the adapter's files."""
    base_revision: Short | None = None
    """Commit or digest of the model that the adapter belongs to."""
    merged: Annotated[str, Field(max_length=1024)] | None = None
    """Where the merged model lies, in the same form, where spec.output.merge asks for one."""
    merged_sha256: Digest | None = None
    """Digest over the merged model's files."""


class FailureStatus(Failure):
    """Why the fine-tune failed or is held up, and what to do about it."""

    pod: Annotated[str, Field(max_length=253)] | None = None
    """The pod that failed."""
    exit_code: Annotated[int, Field(ge=0, le=255)] | None = None
    """Exit code of its container."""
    log_tail: Annotated[str, Field(max_length=MAX_LOG_TAIL)] | None = None
    """Last lines of its log, without secrets."""


class LLMFineTuneStatus(Message):
    """What the operator observed last."""

    observed_generation: Generation | None = None
    """Generation of the spec that this status belongs to."""
    phase: FineTunePhase | None = None
    """Where the fine-tune stands, in one word."""
    conditions: list[Condition] = Field(
        default=[],
        max_length=MAX_CONDITIONS,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    """Aspects of the state, for programs that wait: Ready, Reconciling and Stalled as kstatus reads them."""
    attempt: Times | None = None
    """Counts the starts of training, from 1."""
    start_time: Timestamp | None = None
    """When work on the fine-tune began."""
    completion_time: Timestamp | None = None
    """When it succeeded or failed for good."""
    active_seconds: Annotated[int, Field(ge=0, le=10**9)] | None = None
    """How long it has been active: all attempts together, times of suspension and in a queue left out. It is
    counted on when something else changes, too."""
    active_time: Timestamp | None = None
    """As of when activeSeconds is counted; absent while the fine-tune pauses or has ended."""
    progress: Progress | None = None
    metrics: Metrics | None = None
    history: list[LossPoint] = Field(default=[], max_length=MAX_HISTORY)
    """The loss curve in at most 20 points."""
    dataset: DatasetFacts | None = None
    estimate: EstimateFacts | None = None
    workers: WorkersStatus | None = None
    checkpoint: CheckpointFacts | None = None
    resumed_from: Annotated[str, Field(max_length=1024)] | None = None
    """Where it started from, as `pvc://claim/path`, where spec.resumeFrom asks for it."""
    runtime: RuntimeFacts | None = None
    output: Output | None = None
    failure: FailureStatus | None = None
    remedies: list[Remedy] = Field(default=[], max_length=MAX_REMEDIES)
    """What was changed by itself after failures, oldest first."""
