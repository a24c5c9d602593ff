"""Parts that contestants built on transformers share: model with adapter, data, what is recorded."""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, TrainerCallback

from benchmarks.trainers.peers.worker import StepRecorder, useful_tokens
from benchmarks.trainers.samples import IGNORED, Samples, concatenated, grouped_by_length
from benchmarks.trainers.workload import Job


def load_model(job: Job) -> PeftModel:
    """The base model in the type that the options name, with the initial adapter, trainable."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[job.options["base"]]
    model = AutoModelForCausalLM.from_pretrained(job.model, dtype=dtype, attn_implementation="sdpa")
    model.config.use_cache = False
    return PeftModel.from_pretrained(
        model,
        job.initial_adapter,
        is_trainable=True,
        autocast_adapter_dtype=job.options.get("adapter", "fp32") == "fp32",
    )


def load_dataset(job: Job) -> Dataset:
    """The samples in the layout that the options name: one row of token ids and labels each."""
    samples = Samples.load(Path(job.samples))
    match job.options["layout"]:
        case "grouped":
            samples = grouped_by_length(samples, job.workload.batch_size)
        case "concatenated":
            samples = concatenated(samples, job.workload.max_length)
    rows = range(samples.num_samples)
    return Dataset.from_dict(
        {"input_ids": [samples.ids(row) for row in rows], "labels": [samples.labels(row) for row in rows]}
    )


def accumulation(job: Job) -> tuple[int, int]:
    """Rows in a micro-batch, and micro-batches in a step of the workload's samples, or of as many tokens."""
    micro_batch = int(job.options["micro_batch"])
    if job.options["layout"] not in {"concatenated", "packed"}:
        return micro_batch, job.workload.batch_size // micro_batch
    tokens = len(Samples.load(Path(job.samples)).tokens)
    rows = tokens / job.workload.steps / job.workload.max_length
    return micro_batch, max(1, round(rows / micro_batch))


def trainer_arguments(job: Job) -> dict[str, Any]:
    """The workload as transformers' TrainingArguments, and the settings of speed that the options name."""
    micro_batch, num_accumulated = accumulation(job)
    return {
        "output_dir": job.output,
        "use_cpu": True,
        "bf16": bool(job.options["autocast"]),
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": num_accumulated,
        "max_steps": job.workload.steps,
        "learning_rate": job.workload.learning_rate,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 1.0,
        "weight_decay": 0.0,
        "seed": job.workload.seed,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "train_sampling_strategy": "sequential",
        "torch_compile": bool(job.options.get("compile", False)),
        "disable_tqdm": True,
    }


def collate_padded(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Pads a micro-batch to its longest row."""
    width = max(len(row["input_ids"]) for row in rows)

    def padded(key: str, value: int) -> torch.Tensor:
        return torch.tensor([row[key] + [value] * (width - len(row[key])) for row in rows])

    mask = [[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in rows]
    return {
        "input_ids": padded("input_ids", 0),
        "labels": padded("labels", IGNORED),
        "attention_mask": torch.tensor(mask),
    }


class Recording(TrainerCallback):
    """Tells the recorder about ended steps and their losses."""

    def __init__(self, recorder: StepRecorder) -> None:
        self._recorder = recorder

    def on_step_end(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        """A step's update is done."""
        self._recorder.step_done()

    def on_log(self, _args: Any, state: Any, _control: Any, **kwargs: Any) -> None:
        """A step's loss is known."""
        if "loss" in (logs := kwargs.get("logs") or {}):
            self._recorder.set_loss(state.global_step, float(logs["loss"]))


def counting(trainer_type: type[Any], recorder: StepRecorder) -> type[Any]:
    """The trainer, counting the tokens of every micro-batch."""

    class Counting(trainer_type):
        def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            recorder.count(useful_tokens(inputs))
            return super().training_step(model, inputs, *args, **kwargs)

    return Counting


@torch.no_grad()
def documents_mix(model: Any, inputs: dict[str, Any]) -> bool | None:
    """Whether changing a document's first token changes another document's logits in the same micro-batch.

    None where the micro-batch holds no two documents in one row.
    """
    inputs = {key: value for key, value in inputs.items() if key != "labels"}
    starts = (inputs["position_ids"][0] == 0).nonzero().flatten() if "position_ids" in inputs else []
    if len(starts) < 2:
        return None
    model.eval()
    before = model(**inputs).logits[0, int(starts[1]) :]
    changed = inputs | {"input_ids": inputs["input_ids"].clone()}
    changed["input_ids"][0, 0] = (changed["input_ids"][0, 0] + 1) % model.config.vocab_size
    after = model(**changed).logits[0, int(starts[1]) :]
    return not torch.equal(before, after)
