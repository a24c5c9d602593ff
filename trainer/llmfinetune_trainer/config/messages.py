"""What the trainer tells the operator: progress reports over HTTPS, and the termination message of a pod.

A report's body is the one of Kubeflow Trainer's progress contract (KEP-2779), with this project's own facts
under a key of their own. Every string and list is bounded here, because all of it may end in a status.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from llmfinetune_trainer.config.base import Message

MAX_BODY_BYTES = 65_536
MAX_TERMINATION_BYTES = 4096
MAX_LOG_TAIL = 2048
MAX_HISTORY = 20
MAX_SHORT = 256
NO_CHECKPOINT: Final = "none"

Short = Annotated[str, Field(max_length=MAX_SHORT)]
Long = Annotated[str, Field(max_length=1024)]
Digest = Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
Step = Annotated[int, Field(ge=0, le=10_000_000)]
Count = Annotated[int, Field(ge=0, le=2**53)]

Phase = Literal["Preparing", "Training", "Evaluating", "Exporting"]
Category = Literal[
    "UserError",
    "Data",
    "ModelAccess",
    "OutOfMemory",
    "DiskFull",
    "Image",
    "Scheduling",
    "Volume",
    "Network",
    "Preempted",
    "Evicted",
    "NodeLost",
    "Diverged",
    "Deadline",
    "Internal",
]


class Failure(Message):
    """Why something ended, and what to do about it."""

    category: Category
    """What kind of failure it is."""
    reason: str = Field(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$")
    """CamelCase, for programs."""
    retryable: bool
    """Whether the same thing may succeed without a change by the user."""
    message: Long
    """What was wrong and where, for people. Holds no secret."""
    hint: Long = ""
    """What to do."""


class DatasetFacts(Message):
    """What preparation found in the data."""

    rows: Count
    """Rows that became training samples."""
    validation_rows: Count = 0
    """Rows held out for evaluation."""
    tokens: Count
    """Tokens of all training samples, none of them padding."""
    supervised_tokens: Count
    """Tokens that carry loss."""
    truncated: Count = 0
    """Samples cut to maxSequenceLength."""
    skipped: Count = 0
    """Rows left out because nothing in them carries loss, each named in the prepare log."""
    digest: Digest
    """Key of the prepared data: the data's, the tokenizer's and the settings' digest."""


class EstimateFacts(Message):
    """What a run will need, known before the workers start."""

    memory: Short
    """Memory of one worker, as a quantity."""
    memory_limit: Short
    """What a worker may use."""
    micro_batch_tokens: Count
    """Tokens that a worker computes at once, as chosen for this limit."""
    recompute: bool = False
    """Whether activations are computed again in the backward pass, because there is no room to keep them."""
    workers: int = Field(ge=1, le=4096)
    """Workers that the times are for; twice as many take about half as long."""
    recommended_workers: int = Field(ge=1, le=4096)
    """The most workers that each still have a full micro-batch in a step."""
    seconds_per_step: Annotated[str, Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?$")] | None = None
    """Measured on a few layers of the model, by the machine that prepared."""
    total_seconds: Count | None = None
    """All steps and evaluations."""


class CheckpointFacts(Message):
    """The newest checkpoint on the volume."""

    step: Step
    """Optimizer steps done when it was written."""
    time: str = Field(max_length=32)
    """When it was written, RFC 3339 in UTC."""
    path: Short
    """Below the volume's root."""
    size_bytes: Count
    """Size of its files."""
    verified: bool
    """Whether its checksums were read back and matched."""
    resumable: bool
    """Whether training can go on from it."""


class RuntimeFacts(Message):
    """What the computation really ran on."""

    backend: Literal["ipex", "torch"]
    """Intel extension for PyTorch or plain torch."""
    backend_reason: Short = ""
    """Why this backend: asked for, the only one that can run, or what was measured."""
    communication: Literal["ccl", "gloo", "nccl", "xccl", "none"]
    """Collective library between workers; none with one worker."""
    device: Literal["cuda", "xpu", "cpu"] = "cpu"
    """What computes: an accelerator or the processor."""
    precision: Literal["bf16", "fp32"]
    """Compute type of the frozen model."""
    quantization: Literal["int8", "nf4"] | None = None
    """How the frozen linear layers are kept in memory; absent where they are in the compute type."""
    isa: Short
    """Widest vector instructions of the processor that are used."""
    threads: int = Field(ge=1, le=4096)
    """Compute threads of one worker."""
    engine: Literal["fused", "general"] = "general"
    """Which path of the engine ran."""
    engine_reason: Short = ""
    """Why the general path ran, and why samples do not share sequences where they cannot."""
    world_size: int = Field(ge=1, le=4096)
    """Workers that compute together."""
    micro_batch_tokens: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    """Most tokens that a worker computes at once: runtime.microBatchTokens, or chosen by the memory."""
    recompute: bool = False
    """Whether activations are computed again in the backward pass, because there is no room to keep them."""


class HistoryPoint(Message):
    """One point of the loss curve."""

    step: Step
    loss: float


class Result(Message):
    """The finished fine-tune; also the result manifest on the volume."""

    attempt: Short
    adapter: Short
    """Below the volume's root."""
    sha256: Digest
    """Digest over the adapter's files: sha256 of the lines `<sha256>  <name>` in order of name."""
    base_revision: Short = ""
    """Commit or digest of the model that the adapter belongs to."""
    merged: Short | None = None
    """The merged model below the volume's root, where one was asked for."""
    merged_sha256: Digest | None = None
    """Digest over the merged model's files."""
    steps: Step
    loss: float
    """Mean training loss of the last logging window."""
    eval_loss_before: float | None = None
    eval_loss: float | None = None


class Report(Message):
    """One progress report. Absent fields say nothing: the operator keeps what it knew."""

    attempt: Short
    phase: Phase
    restarts: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """How often training was started again inside the reporting pod: a process ended, or a peer was lost."""
    phase_percent: Annotated[int, Field(ge=0, le=100)] = 0
    """How much of a phase without steps is done: evaluating, exporting."""
    step: Step = 0
    total_steps: Step = 0
    epoch: float = Field(default=0.0, ge=0.0)
    eta_seconds: int | None = Field(default=None, ge=0, le=10**9)
    step_seconds: float | None = Field(default=None, ge=0.0, le=1e9)
    """Mean time of the last steps."""
    loss: float | None = None
    eval_step: Step | None = None
    """Step whose weights `eval_loss` is about."""
    eval_loss: float | None = None
    eval_loss_before: float | None = None
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    history: list[HistoryPoint] = Field(default=[], max_length=MAX_HISTORY)
    dataset: DatasetFacts | None = None
    estimate: EstimateFacts | None = None
    checkpoint: CheckpointFacts | Literal["none"] | None = None
    """The newest checkpoint on the volume; `none` where it holds none, whatever was told before."""
    runtime: RuntimeFacts | None = None
    result: Result | None = None
    failure: Failure | None = None


class Metric(Message):
    """One metric of the Kubeflow Trainer contract."""

    name: str = Field(max_length=64)
    value: str = Field(max_length=64)


class TrainerStatus(Message):
    """The part of a report that the Kubeflow Trainer contract defines."""

    progress_percentage: int | None = Field(default=None, ge=0, le=100)
    estimated_remaining_seconds: int | None = Field(default=None, ge=0, le=2**31 - 1)
    metrics: list[Metric] = Field(default=[], max_length=256)
    last_updated_time: str | None = Field(default=None, max_length=64)


class ReportBody(Message):
    """Body of a report request."""

    trainer_status: TrainerStatus | None = None
    llmfinetune: Report | None = None


class TerminationMessage(Message):
    """JSON in a container's termination message: survives an operator that was away."""

    attempt: Short
    dataset: DatasetFacts | None = None
    estimate: EstimateFacts | None = None
    result: Result | None = None
    failure: Failure | None = None
    log_tail: Annotated[str, Field(max_length=MAX_LOG_TAIL)] | None = None
    """The last lines that the failed process wrote to its error output, without secrets."""
