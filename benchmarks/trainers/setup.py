"""What all contestants start from, made once by the project's own preparation: model, samples, adapter."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from transformers import AutoModelForCausalLM

from benchmarks.models import find_model
from benchmarks.trainers.samples import Samples
from benchmarks.trainers.workload import Workload
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.data.order import epoch_order
from llmfinetune_trainer.data.prepared import open_prepared
from llmfinetune_trainer.engine.fused.native.library import load_library
from llmfinetune_trainer.manifest import load_manifest
from llmfinetune_trainer.model.lora import attach_adapters

CLI = Path(sys.executable).parent / "llmfinetune"


class Setup(NamedTuple):
    """Files that every run of one configuration reads."""

    workload: Workload
    manifest: Path
    """The fine-tune as the project's own command line takes it."""
    workspace: Path
    """The project's workspace with the prepared data."""
    model: Path
    samples: Path
    held_out: Path
    initial_adapter: Path


def find_data(argument: Path | None) -> Path:
    """The data: the argument, else the file or directory in `LLMFINETUNE_DATA`, else `../shared/data`.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = argument or Path(os.environ.get("LLMFINETUNE_DATA", "../shared/data"))
    path = path / "medical_meadow_small.json" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"no data at {path}: name alpaca rows with --data or LLMFINETUNE_DATA")
    return path.absolute()


def make_setup(workload: Workload, *, data: Path, root: Path, model: Path | None = None) -> Setup:
    """Prepares model (SmolLM2 where none is named) and data with the project's command line; writes what the
    peers read below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    manifest = root / "finetune.yaml"
    values = fine_tune(workload, model=(model or find_model()).absolute(), data=data)
    manifest.write_text(yaml.safe_dump(values), encoding="utf-8")
    workspace = root / "workspace"
    subprocess.run([CLI, "prepare", manifest, "--workspace", workspace, "--offline"], check=True)
    load_library()  # compiles the engine's kernels once, as building the image does
    return _written(workload, manifest=manifest, workspace=workspace, root=root)


def fine_tune(workload: Workload, *, model: Path, data: Path) -> dict[str, Any]:
    """The workload as an LLMFineTune."""
    lora = {"rank": workload.rank, "alpha": float(workload.alpha), "dropout": 0.0}
    training = {
        "maxSteps": workload.steps,
        "learningRate": workload.learning_rate,
        "schedule": "constant",
        "warmupRatio": 0.0,
        "batchSize": workload.batch_size,
        "maxSequenceLength": workload.max_length,
        "precision": "bf16",
        "gradientClip": 1.0,
        "seed": workload.seed,
    }
    return {
        "apiVersion": "llmfinetune.dev/v1alpha1",
        "kind": "LLMFineTune",
        "metadata": {"name": "bench"},
        "spec": {
            "model": {"source": str(model)},
            "dataset": {
                "source": str(data),
                "format": "alpaca",
                "template": "alpaca",
                "validationSplit": 0.0,
            },
            "method": {"lora": lora | {"targetModules": list(workload.targets)}},
            "training": training,
        },
    }


def _written(workload: Workload, *, manifest: Path, workspace: Path, root: Path) -> Setup:
    prepared = open_prepared(load_manifest(manifest), Layout(workspace))
    order = epoch_order(workload.seed, 0, prepared.train.num_samples)
    if len(order) < workload.num_samples + workload.held_out:
        raise ValueError(
            f"the data has {len(order)} samples, fewer than {workload.num_samples} + {workload.held_out}"
        )
    setup = Setup(
        workload=workload,
        manifest=manifest,
        workspace=workspace,
        model=prepared.model_path,
        samples=root / "samples.npz",
        held_out=root / "held_out.npz",
        initial_adapter=root / "initial_adapter",
    )
    _gathered(prepared.train, order[: workload.num_samples]).save(setup.samples)
    _gathered(prepared.train, order[len(order) - workload.held_out :]).save(setup.held_out)
    _save_initial_adapter(setup)
    return setup


def _gathered(split: Any, indices: np.ndarray[Any, np.dtype[np.int64]]) -> Samples:
    tokens = [np.asarray(split.tokens(int(index))) for index in indices]
    return Samples(
        tokens=np.concatenate(tokens),
        targets=np.concatenate([np.asarray(split.loss_mask(int(index))) for index in indices]),
        offsets=np.cumsum([0, *map(len, tokens)]),
    )


def _save_initial_adapter(setup: Setup) -> None:
    """Saves the adapter that the project starts from, which is a function of the seed, in peft's form."""
    work = setup.workload
    base = AutoModelForCausalLM.from_pretrained(setup.model, dtype=torch.float32)
    lora = LoraConfig(rank=work.rank, alpha=work.alpha, dropout=0.0, target_modules=list(work.targets))
    model, _ = attach_adapters(base, lora, seed=work.seed)
    model.save_pretrained(setup.initial_adapter)


def model_config(setup: Setup) -> dict[str, Any]:
    """The model's config.json."""
    config: dict[str, Any] = json.loads((setup.model / "config.json").read_text(encoding="utf-8"))
    return config
