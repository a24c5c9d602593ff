"""TRL's SFTTrainer.

Options: those of the Hugging Face contestant, with `layout` default (padded), padding_free or packed, and
`checkpointing` (gradient checkpointing, which SFTConfig switches on by itself).
"""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from benchmarks.trainers.peers import hf_parts
from benchmarks.trainers.peers.worker import StepRecorder, run_worker
from benchmarks.trainers.workload import Job


def train(job: Job, recorder: StepRecorder) -> dict[str, Any]:
    """Trains the job's samples."""
    model = hf_parts.load_model(job)
    trainer = hf_parts.counting(SFTTrainer, recorder)(
        model=model,
        args=SFTConfig(
            **hf_parts.trainer_arguments(job),
            gradient_checkpointing=bool(job.options["checkpointing"]),
            packing=job.options["layout"] == "packed",
            padding_free=job.options["layout"] == "padding_free",
            max_length=job.workload.max_length if job.options["layout"] == "packed" else None,
        ),
        processing_class=AutoTokenizer.from_pretrained(job.model),
        train_dataset=hf_parts.load_dataset(job),
        callbacks=[hf_parts.Recording(recorder)],
    )
    trainer.train()
    model.save_pretrained(Path(job.output) / "adapter")
    mixes = hf_parts.documents_mix(trainer.model, next(iter(trainer.get_train_dataloader())))
    return {"mixes_documents": bool(mixes)}


if __name__ == "__main__":
    run_worker(train, packages=["trl", "transformers", "peft", "torch"])
