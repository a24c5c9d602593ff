"""Hugging Face Trainer with peft, plain or with the Intel extension.

Options: `layout` (padded, grouped, flattened: documents one after the other in one row behind transformers'
own block mask, concatenated), `base` (fp32, bf16), `autocast`, `adapter` (fp32, bf16), `micro_batch`,
`compile`, `ipex`.
"""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import DataCollatorWithFlattening, Trainer, TrainingArguments

from benchmarks.trainers.peers import hf_parts
from benchmarks.trainers.peers.worker import StepRecorder, run_worker
from benchmarks.trainers.workload import Job


def train(job: Job, recorder: StepRecorder) -> dict[str, Any]:
    """Trains the job's samples."""
    model = hf_parts.load_model(job)
    optimizer = None
    if job.options.get("ipex"):
        model, optimizer = _with_ipex(job, model)
    flattened = job.options["layout"] == "flattened"
    trainer = hf_parts.counting(Trainer, recorder)(
        model=model,
        args=TrainingArguments(**hf_parts.trainer_arguments(job), remove_unused_columns=False),
        train_dataset=hf_parts.load_dataset(job),
        data_collator=DataCollatorWithFlattening() if flattened else hf_parts.collate_padded,
        callbacks=[hf_parts.Recording(recorder)],
        optimizers=(optimizer, None),
    )
    trainer.train()
    model.save_pretrained(Path(job.output) / "adapter")
    return {"mixes_documents": _mixes(job, trainer)}


def _with_ipex(job: Job, model: PeftModel) -> tuple[Any, torch.optim.Optimizer]:
    import intel_extension_for_pytorch as ipex  # only its own environment has it

    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=job.workload.learning_rate, weight_decay=0.0)
    optimized: tuple[Any, torch.optim.Optimizer] = ipex.optimize(
        model.train(), optimizer=optimizer, dtype=torch.bfloat16, inplace=True
    )
    return optimized


def _mixes(job: Job, trainer: Trainer) -> bool:
    """Padded rows hold one document each, concatenated blocks attend across theirs; flattened is tried."""
    if job.options["layout"] != "flattened":
        return bool(job.options["layout"] == "concatenated")
    return bool(hf_parts.documents_mix(trainer.model, next(iter(trainer.get_train_dataloader()))))


if __name__ == "__main__":
    packages = ["transformers", "peft", "torch"]
    if "ipex" in Path(__import__("sys").prefix).name:
        packages.append("intel-extension-for-pytorch")
    run_worker(train, packages=packages)
