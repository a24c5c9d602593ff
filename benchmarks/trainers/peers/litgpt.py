"""LitGPT's LoRA recipe on its own model code, given the same tokens.

Options: `micro_batch`. Its learning rate follows a cosine and its adapters start from its own seed, so its
loss compares in size only.
"""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from litgpt.args import EvalArgs, TrainArgs
from litgpt.data import DataModule
from litgpt.data.base import get_sft_collate_fn
from litgpt.finetune import lora
from litgpt.prompts import Alpaca
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader

from benchmarks.trainers.peers.worker import StepRecorder, run_worker
from benchmarks.trainers.samples import Samples
from benchmarks.trainers.workload import Job

CONVERT = """
import sys
from pathlib import Path
from litgpt.scripts.convert_hf_checkpoint import convert_hf_checkpoint
convert_hf_checkpoint(Path(sys.argv[1]), model_name="SmolLM2-135M-Instruct", dtype="bfloat16")
"""


class Tokenized(DataModule):
    """The job's samples, counted as they are fetched; the recipe's sanity check sees two of them first."""

    def __init__(self, samples: Samples, recorder: StepRecorder, *, micro_batch: int) -> None:
        super().__init__()
        self.prompt_style = Alpaca()
        self._rows = [_row(samples, index) for index in range(samples.num_samples)]
        self._recorder = recorder
        self._micro_batch = micro_batch

    def connect(self, **_: Any) -> None:
        """Nothing depends on the tokenizer any more."""

    def train_dataloader(self) -> DataLoader[Any]:
        """All samples in order."""
        return _loader(self._rows, self._micro_batch, self._counted)

    def val_dataloader(self) -> DataLoader[Any]:
        """Two samples."""
        return _loader(self._rows[:2], 1, get_sft_collate_fn())

    def _counted(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        self._recorder.count(sum(len(row["input_ids"]) for row in rows))
        batch: dict[str, Any] = get_sft_collate_fn()(rows)
        return batch


def _loader(rows: list[dict[str, Any]], size: int, collate: Any) -> DataLoader[Any]:
    dataset: Any = rows  # a list has all that a dataset needs
    return DataLoader(dataset, batch_size=size, collate_fn=collate)


def train(job: Job, recorder: StepRecorder) -> dict[str, Any]:
    """Trains the job's samples."""
    work, output = job.workload, Path(job.output) / "litgpt"
    register_optimizer_step_post_hook(lambda *_: recorder.step_done())
    micro_batch = int(job.options["micro_batch"])
    wide = work.adapter == "all-linear"
    lora.setup(
        checkpoint_dir=_converted(Path(job.model), Path(job.initial_adapter).parent / "litgpt"),
        out_dir=output,
        precision="bf16-true",
        lora_r=work.rank,
        lora_alpha=work.alpha,
        lora_dropout=0.0,
        lora_key=wide,
        lora_projection=wide,
        lora_mlp=wide,
        data=Tokenized(Samples.load(Path(job.samples)), recorder, micro_batch=micro_batch),
        train=TrainArgs(
            global_batch_size=work.batch_size,
            micro_batch_size=micro_batch,
            lr_warmup_steps=1,
            epochs=2,
            max_steps=work.steps,
            max_seq_length=work.max_length,
            save_interval=None,
        ),
        eval=EvalArgs(interval=1_000_000, max_new_tokens=1, final_validation=False),
        optimizer={
            "class_path": "torch.optim.AdamW",
            "init_args": {"lr": work.learning_rate, "weight_decay": 0.0},
        },
        seed=work.seed,
    )
    _note_losses(output, recorder)
    return {"mixes_documents": False}


def _converted(model: Path, directory: Path) -> Path:
    """The model in LitGPT's own format, made once in a process of its own."""
    if not (directory / "lit_model.pth").exists():
        directory.mkdir(parents=True, exist_ok=True)
        for file in model.iterdir():
            (directory / file.name).unlink(missing_ok=True)
            (directory / file.name).symlink_to(file.absolute())
        subprocess.run([sys.executable, "-c", CONVERT, str(directory.absolute())], check=True)
    return directory.absolute()


def _row(samples: Samples, index: int) -> dict[str, Any]:
    ids = torch.tensor(samples.ids(index))
    counts = {"raw": len(ids), "raw_plus_prompt_template": len(ids)}
    return {"input_ids": ids, "labels": torch.tensor(samples.labels(index)), "token_counts": counts}


def _note_losses(output: Path, recorder: StepRecorder) -> None:
    """The running mean after a step's last micro-batch is that step's loss."""
    with next(output.rglob("metrics.csv")).open(encoding="utf-8") as file:
        losses = {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file) if row.get("loss")}
    for step in range(1, len(recorder.steps) + 1):
        recorder.set_loss(step, losses[step])


if __name__ == "__main__":
    run_worker(train, packages=["litgpt", "lightning", "torch"])
