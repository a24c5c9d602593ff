"""`llmfinetune estimate`: memory, time and the split of batches before anything is computed; and the same at
the end of preparation."""

import argparse
import os
from collections.abc import Mapping
from typing import Any

import torch

from llmfinetune_trainer.cli import arguments
from llmfinetune_trainer.cli.prepare_command import hub_token, say
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import HF_TOKEN, Layout
from llmfinetune_trainer.config.quantity import quantity
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared
from llmfinetune_trainer.engine.backend import choose_backend
from llmfinetune_trainer.engine.machine import Machine, this_machine
from llmfinetune_trainer.errors import user_error
from llmfinetune_trainer.estimate.limits import Limits, limits_of, worker_limits
from llmfinetune_trainer.estimate.make import Estimator
from llmfinetune_trainer.estimate.result import Estimate
from llmfinetune_trainer.estimate.sampling import subject_of
from llmfinetune_trainer.estimate.stored import estimate_path, kept_or_made
from llmfinetune_trainer.estimate.subject import Subject, prepared_subject
from llmfinetune_trainer.estimate.table import table
from llmfinetune_trainer.launcher import cgroups
from llmfinetune_trainer.manifest import manifest_workers
from llmfinetune_trainer.model.targets import model_skeleton

MEASURE_SECONDS = 10.0


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Prints the estimate; ends with an error where the memory surely is too small."""
    config, layout = arguments.configuration(options), Layout(options.workspace)
    workers: Mapping[str, Any] = {} if options.manifest is None else manifest_workers(options.manifest)
    limits = limits_of(workers, environment, memory=_memory(options.memory), read=cgroups.read_file)
    torch.set_num_threads(num_threads(limits))
    subject = subject_of(
        config, layout, token=hub_token(HF_TOKEN, environment), offline=options.offline, progress=say
    )
    made = _made(config, subject, limits, machine=this_machine(), seconds=options.seconds)
    print(made.model_dump_json(by_alias=True) if options.json else table(made))  # noqa: T201 - this is the output
    made.check_fits()
    return exit_codes.OK


def estimate_prepared(config: RunConfig, layout: Layout, prepared: Prepared) -> Estimate:
    """The estimate for what was prepared, for the workers that the operator described.

    Raises:
        RunError: their memory surely is too small.
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
    estimate = kept_or_made(
        path, lambda: _made(config, _subject(prepared), limits, machine=machine, seconds=MEASURE_SECONDS)
    )
    estimate.check_fits()
    return estimate


def num_threads(limits: Limits) -> int:
    """Threads of a worker, as far as this machine has processors for them."""
    usable = cgroups.num_threads(
        limit=cgroups.cpu_limit(cgroups.read_file), num_usable=len(os.sched_getaffinity(0))
    )
    return min(usable, limits.threads or usable)


def _subject(prepared: Prepared) -> Subject:
    return prepared_subject(model_skeleton(prepared.model_path), prepared)


def _made(
    config: RunConfig, subject: Subject, limits: Limits, *, machine: Machine, seconds: float
) -> Estimate:
    backend = choose_backend(config.runtime, precision=config.training.precision, machine=machine)
    return Estimator(config, subject, limits, backend=backend).estimate(seconds=seconds)


def _memory(text: str | None) -> int | None:
    if text is None:
        return None
    value = quantity(text)
    if value is None or value <= 0:
        raise user_error(
            "InvalidMemory", f"--memory {text} is no amount of memory", hint="write it as 4Gi or 1500M"
        )
    return int(value)
