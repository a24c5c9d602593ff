"""The run configuration: what a fine-tune computes, independent of where and on how many workers it runs.

It is the only thing that the operator and the trainer share. The custom resource's spec is made of these
models plus what only a cluster needs; `x-kubernetes-validations` beside a model are its rules in the
API server's words.
"""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from llmfinetune_trainer.config.base import Frozen
from llmfinetune_trainer.config.source import MAX_LENGTH, parse_source


def _source(uri: str) -> str:
    parse_source(uri)
    return uri


_Number = TypeVar("_Number", int, float)


def _zero_is_none(value: _Number | None) -> _Number | None:
    """0 says "off" where null cannot: `kubectl apply` drops nulls, and the default would come back."""
    return value or None


def _cel(rule: str, message: str) -> dict[str, str]:
    return {"rule": rule, "message": message}


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules of a model, as `json_schema_extra`: pairs of (rule, message)."""
    return {"x-kubernetes-validations": [_cel(*pair) for pair in pairs]}


_ONE_ORIGIN = "resumeFrom names either a fineTune or a source: give exactly one of them"
FINE_TUNE_NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
_ONE_LENGTH = "epochs and maxSteps exclude each other: remove one of them"
_NO_REVISION = "only a Hugging Face repository has a revision: remove it, or name an hf:// source"
_REVISED = rules(("self.revision == 'main' || self.source.startsWith('hf://')", _NO_REVISION))
NOTHING_HELD_OUT = (
    "evaluation.everySteps has nothing to evaluate on while dataset.validationSplit is 0: "
    "remove everySteps or raise validationSplit"
)

SourceUri = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH), AfterValidator(_source)]
ModuleName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.*-]+$")]
ColumnName = Annotated[str, Field(min_length=1, max_length=128)]


class SecretKeyRef(Frozen):
    """One key of a Secret in the fine-tune's namespace."""

    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    """Name of the Secret."""
    key: str = Field(default="token", min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
    """Key inside the Secret."""


def _check_revision(source: str, revision: str) -> None:
    if revision != "main" and parse_source(source).scheme != "hf":
        raise ValueError(_NO_REVISION)


class ModelConfig(Frozen):
    """The pretrained model to start from."""

    model_config = ConfigDict(json_schema_extra=_REVISED)

    source: SourceUri
    """Where the model comes from: `hf://owner/name`, `pvc://claim/path`, `https://…#sha256=…` or `configMap://name/key`.
    A directory with safetensors weights, or one GGUF file."""
    revision: str = Field(default="main", min_length=1, max_length=256)
    """Branch, tag or commit of a Hugging Face repository."""
    quantization: Literal["int8", "nf4"] | None = None
    """How the frozen linear layers are kept in memory: int8 with a scale for each output, or 4-bit
    NormalFloat with a scale for every 64 weights; null keeps them in the type of the computation. Fewer bits
    take less memory and more time, and are less exact."""
    token_secret_ref: SecretKeyRef | None = None
    """Secret with the Hugging Face token that gated or private repositories need. Mounted as a file, never
    put into the environment."""

    @model_validator(mode="after")
    def _revision_of_a_repository(self) -> Self:
        _check_revision(self.source, self.revision)
        return self


class Columns(Frozen):
    """Which columns of the data hold what. Only columns that the chosen format uses are read."""

    instruction: ColumnName = "instruction"
    """Column with the instruction (format alpaca)."""
    input: ColumnName = "input"
    """Column with the optional input to the instruction (format alpaca)."""
    output: ColumnName = "output"
    """Column with the answer (format alpaca)."""
    prompt: ColumnName = "prompt"
    """Column with the prompt (format completion)."""
    completion: ColumnName = "completion"
    """Column with the completion (format completion)."""
    messages: ColumnName = "messages"
    """Column with the list of `{role, content}` messages (format messages). Every assistant's message but a
    first one is learned. Other keys of a message, such as tool calls or reasoning, and a column `tools` are
    refused unless they are empty."""
    text: ColumnName = "text"
    """Column with the document (format pretraining)."""


class DatasetConfig(Frozen):
    """The examples to learn from."""

    model_config = ConfigDict(json_schema_extra=_REVISED)

    source: SourceUri
    """Where the data comes from: `hf://owner/name[/file]`, `pvc://claim/path`, `https://…#sha256=…` or
    `configMap://name/key`. JSON, JSON Lines, CSV, Parquet, text, or what `datasets.save_to_disk` writes."""
    revision: str = Field(default="main", min_length=1, max_length=256)
    """Branch, tag or commit of a Hugging Face repository."""
    format: Literal["auto", "alpaca", "messages", "completion", "pretraining"] = "auto"
    """How a row becomes an example; `auto` decides by the columns that are there."""
    columns: Columns = Columns()
    """Names of the columns, where they differ from the format's own."""
    template: Literal["auto", "alpaca", "chat"] = "auto"
    """How prompt and answer become text: the Alpaca template or the tokenizer's own chat template. `auto`
    takes the chat template for messages and the Alpaca template for alpaca rows."""
    validation_split: float = Field(default=0.05, ge=0.0, le=0.5)
    """Fraction of the rows held out for evaluation; 0 holds out none."""
    train_on_inputs: bool = False
    """Whether prompts carry loss too."""

    @model_validator(mode="after")
    def _revision_of_a_repository(self) -> Self:
        _check_revision(self.source, self.revision)
        return self


class LoraConfig(Frozen):
    """Low-rank adapters on frozen linear layers (Hu et al. 2021, arXiv:2106.09685)."""

    rank: int = Field(default=8, ge=1, le=1024)
    """Rank r of the update B·A."""
    alpha: float = Field(default=16.0, gt=0.0, le=65536.0)
    """Scale: the update is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout on the adapters' input. 0 is fastest."""
    target_modules: list[ModuleName] = Field(default=["q_proj", "v_proj"], min_length=1, max_length=64)
    """Names of the linear layers to adapt, or `all-linear`. A name that matches nothing is an error."""


class MethodConfig(Frozen):
    """How the model is changed. Exactly one method."""

    lora: LoraConfig
    """Low-rank adapters."""


class TrainingConfig(Frozen):
    """The optimisation. None of it depends on the number of workers."""

    model_config = ConfigDict(
        json_schema_extra=rules(("!(has(self.epochs) && has(self.maxSteps))", _ONE_LENGTH))
    )

    epochs: float | None = Field(default=None, gt=0.0, le=1000.0)
    """Passes over the data; 3 where neither this nor maxSteps is given."""
    max_steps: int | None = Field(default=None, ge=1, le=10_000_000)
    """Optimizer steps, instead of epochs."""
    learning_rate: float = Field(default=2.0e-4, gt=0.0, le=1.0)
    """Peak learning rate of AdamW."""
    weight_decay: float = Field(default=0.0, ge=0.0, le=1.0)
    """Decoupled weight decay of AdamW on the adapters."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Learning rate after warm-up: cosine or linear to zero, or constant."""
    warmup_ratio: float = Field(default=0.03, ge=0.0, le=0.5)
    """Fraction of the steps over which the learning rate rises from zero."""
    batch_size: int = Field(default=64, ge=1, le=65536)
    """Samples in one optimizer step, over all workers."""
    max_sequence_length: int = Field(default=512, ge=8, le=131072)
    """Longer samples are cut to this many tokens, and counted."""
    packing: bool = True
    """Whether several samples share one sequence without seeing each other. Changes speed, not results."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Compute type of the frozen model; `auto` takes bf16 where the processor has it."""
    gradient_clip: Annotated[float | None, AfterValidator(_zero_is_none)] = Field(
        default=1.0, ge=0.0, le=1000.0
    )
    """Largest global norm of the gradient; 0 switches clipping off."""
    seed: int = Field(default=42, ge=0, le=4294967295)
    """Seed of the order of samples, the split, the adapters' start and dropout."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.epochs is not None and self.max_steps is not None:
            raise ValueError(_ONE_LENGTH)
        return self


class EvaluationConfig(Frozen):
    """Evaluation on the held-out split: before the first step, every so many steps, and at the end."""

    every_steps: int | None = Field(default=None, ge=1, le=10_000_000)
    """Optimizer steps between evaluations; null evaluates only before and after training."""
    metrics: list[Literal["loss", "perplexity"]] = Field(
        default=["loss", "perplexity"], min_length=1, max_length=2
    )
    """What is reported."""


def check_held_out(dataset: DatasetConfig, evaluation: EvaluationConfig) -> None:
    """Refuse evaluations that would evaluate nothing.

    Raises:
        ValueError: they are asked for, and no rows are held out.
    """
    if evaluation.every_steps is not None and not dataset.validation_split:
        raise ValueError(NOTHING_HELD_OUT)


class CheckpointConfig(Frozen):
    """When the state that training resumes from is written."""

    every_steps: Annotated[int | None, AfterValidator(_zero_is_none)] = Field(default=50, ge=0, le=10_000_000)
    """Optimizer steps between checkpoints; 0 leaves it to everySeconds."""
    every_seconds: Annotated[int | None, AfterValidator(_zero_is_none)] = Field(default=60, ge=0, le=86400)
    """Seconds between checkpoints; 0 leaves it to everySteps."""
    keep: int = Field(default=2, ge=1, le=100)
    """How many checkpoints stay on the volume."""


class OutputConfig(Frozen):
    """What is written besides the adapter."""

    merge: bool = False
    """Whether the base with the adapter merged in is written too, in the base's own type and as large as the
    base: a model that needs no peft."""


class RuntimeConfig(Frozen):
    """What the computation runs on."""

    device: Literal["auto", "cuda", "xpu", "cpu"] = "auto"
    """What computes: an accelerator of Nvidia or AMD (cuda) or Intel (xpu), or the processor (cpu). `auto`
    takes the first that is there; what is asked for and missing is an error."""
    backend: Literal["auto", "ipex", "torch"] = "auto"
    """Intel extension for PyTorch or plain torch. `auto` takes plain torch where the fused engine computes
    the model or the extension is not installed, else what a short measurement finds faster."""
    communication: Literal["auto", "ccl", "gloo"] = "auto"
    """Collective library between workers. `auto` takes the accelerator's own, on processors oneCCL where its
    bindings import, else gloo."""
    micro_batch_tokens: int | None = Field(default=None, ge=64, le=1_048_576)
    """Most tokens that a worker computes at once; a longer sample is computed by itself. Fewer take less
    memory and, below 1024 or so, more time; the result is the same. null takes 2048, or fewer
    where memory is short."""


class ResumeConfig(Frozen):
    """Another fine-tune's work to start from."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.fineTune) != has(self.source)", _ONE_ORIGIN)),
    )

    fine_tune: Annotated[str, Field(min_length=1, max_length=63, pattern=FINE_TUNE_NAME)] | None = None
    """Name of a fine-tune in the same namespace: its newest checkpoint, or for warmStart the adapter that it
    wrote if it has finished."""
    source: SourceUri | None = None
    """Instead of fineTune, `pvc://claim/path`: a fine-tune's volume, one checkpoint on it, or for warmStart
    an adapter's directory as peft saves it."""
    mode: Literal["continue", "warmStart"] = "continue"
    """`continue` takes over the whole state of training and goes on with the next step: model, data, method,
    batch size, sequence length and seed must be the same; the run's length and learning rate may differ.
    `warmStart` takes the adapter's weights alone and starts at step 0: base model, rank, scale and target
    layers must be the same."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.fine_tune is None) == (self.source is None):
            raise ValueError(_ONE_ORIGIN)
        return self


class RunConfig(Frozen):
    """Everything the trainer needs to know. The operator writes it as JSON into a ConfigMap."""

    name: str = Field(min_length=1, max_length=63)
    """Name of the fine-tune."""
    namespace: str = Field(default="", max_length=63)
    """Namespace of the fine-tune; empty outside a cluster."""
    model: ModelConfig
    dataset: DatasetConfig
    method: MethodConfig
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    output: OutputConfig = OutputConfig()
    resume_from: ResumeConfig | None = None
    runtime: RuntimeConfig = RuntimeConfig()

    @model_validator(mode="after")
    def _something_to_evaluate_on(self) -> Self:
        check_held_out(self.dataset, self.evaluation)
        return self
