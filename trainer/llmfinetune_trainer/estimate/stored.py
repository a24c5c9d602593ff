"""Estimates beside the prepared data: the same run on the same machine is measured once."""

from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import ValidationError

from llmfinetune_trainer.atomic import write_atomically
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared
from llmfinetune_trainer.engine.machine import Machine, this_machine
from llmfinetune_trainer.estimate.limits import Limits, worker_limits
from llmfinetune_trainer.estimate.make import made_estimate
from llmfinetune_trainer.estimate.result import Estimate
from llmfinetune_trainer.estimate.subject import prepared_subject
from llmfinetune_trainer.model.targets import model_skeleton
from llmfinetune_trainer.sources.digest import digest_json

VERSION = 3
MEASURE_SECONDS = 10.0


def estimate_prepared(config: RunConfig, layout: Layout, prepared: Prepared) -> Estimate:
    """The estimate for what was prepared, on the workers that the operator described.

    Raises:
        RunError: what the configuration asks for is not there.
    """
    limits, machine = worker_limits(), this_machine()
    path = estimate_path(
        config,
        layout,
        key=prepared.key,
        limits=limits,
        machine=machine,
        threads=torch.get_num_threads(),
    )
    return kept_or_made(
        path,
        lambda: made_estimate(
            config,
            prepared_subject(model_skeleton(prepared.model_path), prepared),
            limits,
            machine=machine,
            seconds=MEASURE_SECONDS,
        ),
    )


def estimate_path(
    config: RunConfig, layout: Layout, *, key: str, limits: Limits, machine: Machine, threads: int
) -> Path:
    """Where the estimate of this run on this machine lies.

    Args:
        config: the run configuration.
        layout: directories of the run.
        key: key of the prepared data.
        limits: what the workers may use.
        machine: this machine.
        threads: processors that compute.
    """
    what = {
        "version": VERSION,
        "prepared": key,
        "config": config.model_dump(
            mode="json", include={"method", "training", "evaluation", "runtime", "dataset"}
        ),
        "quantization": config.model.quantization,
        "limits": list(limits),
        "machine": [machine.processor, machine.isa, threads],
    }
    return layout.prepared / "estimates" / f"{digest_json(what)}.json"


def kept_or_made(path: Path, make: Callable[[], Estimate]) -> Estimate:
    """The estimate of an earlier call, else one made now and kept."""
    try:
        return Estimate.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        estimate = make()
    write_atomically(path, estimate.model_dump_json(by_alias=True, indent=2))
    return estimate
