"""LLaMA-Factory: its own command's function, given the same tokens and the same adapter to start from.

Options: `micro_batch`, and `autocast` (bf16).
"""

from pathlib import Path
from typing import Any

from datasets import DatasetDict
from llamafactory.train import tuner
from llamafactory.train.sft import workflow

from benchmarks.trainers.peers import hf_parts
from benchmarks.trainers.peers.worker import StepRecorder, run_worker
from benchmarks.trainers.workload import Job


def train(job: Job, recorder: StepRecorder) -> dict[str, Any]:
    """Trains the job's samples."""
    tokenized = Path(job.output) / "tokenized"
    DatasetDict({"train": hf_parts.load_dataset(job)}).save_to_disk(tokenized)
    # its workflow builds the trainer itself, so the class that it builds is replaced to count tokens
    workflow.CustomSeq2SeqTrainer = hf_parts.counting(workflow.CustomSeq2SeqTrainer, recorder)
    tuner.run_exp(_arguments(job, tokenized), callbacks=[hf_parts.Recording(recorder)])
    return {"mixes_documents": False}


def _arguments(job: Job, tokenized: Path) -> dict[str, Any]:
    ours = {"torch_compile", "train_sampling_strategy"}  # what its own argument parser does not take
    arguments = {key: value for key, value in hf_parts.trainer_arguments(job).items() if key not in ours}
    return arguments | {
        "output_dir": str(Path(job.output) / "adapter"),
        "model_name_or_path": job.model,
        "adapter_name_or_path": job.initial_adapter,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "dataset": "tokenized",
        "template": "alpaca",
        "tokenized_path": str(tokenized),
        "disable_shuffling": True,
        "disable_gradient_checkpointing": True,
        "overwrite_cache": False,
    }


if __name__ == "__main__":
    run_worker(train, packages=["llamafactory", "transformers", "peft", "torch"])
