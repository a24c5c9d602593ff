"""What every contestant's process shares: reading its job, recording its steps, writing its report."""

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.trainers.workload import Job


class StepRecorder:
    """When each optimizer step ended, and how many tokens (padding never counted) went into it."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self._tokens = 0

    def count(self, num_tokens: int) -> None:
        """Adds the tokens of a micro-batch to the step that is being computed."""
        self._tokens += num_tokens

    def step_done(self) -> None:
        """Closes the step."""
        self.steps.append({"time": time.time(), "cpu_seconds": time.process_time(), "tokens": self._tokens})
        self._tokens = 0

    def set_loss(self, step: int, loss: float) -> None:
        """Notes the mean training loss of a step, counted from 1."""
        self.steps[step - 1]["loss"] = loss


def useful_tokens(inputs: dict[str, Any]) -> int:
    """Tokens of a micro-batch that are no padding."""
    mask = inputs.get("attention_mask")
    return int(inputs["input_ids"].numel() if mask is None else mask.sum())


def run_worker(
    train: Callable[[Job, StepRecorder], dict[str, Any] | None], *, packages: Sequence[str]
) -> None:
    """Runs one contestant: `python -m benchmarks.trainers.peers.<name> <job.json>`.

    Args:
        train: does the training, and returns facts for the report.
        packages: whose versions the report names.
    """
    job = Job.load(Path(sys.argv[1]))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(job.workload.threads)
    recorder = StepRecorder()
    facts = train(job, recorder) or {}
    report = {"steps": recorder.steps, "version": versions(packages), **facts}
    (Path(job.output) / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def versions(packages: Sequence[str]) -> str:
    """Versions of the packages that are installed, in one line."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
