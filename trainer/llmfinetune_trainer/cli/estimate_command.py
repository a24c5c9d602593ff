"""`llmfinetune estimate`: memory, time and the split of batches before anything is computed."""

import argparse
from collections.abc import Mapping
from typing import Any

import torch

from llmfinetune_trainer.cli import arguments
from llmfinetune_trainer.cli.prepare_command import hub_token, say
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import HF_TOKEN, Layout
from llmfinetune_trainer.config.quantity import quantity
from llmfinetune_trainer.engine.machine import this_machine
from llmfinetune_trainer.errors import user_error
from llmfinetune_trainer.estimate.limits import Limits, limits_of
from llmfinetune_trainer.estimate.make import made_estimate
from llmfinetune_trainer.estimate.sampling import subject_of
from llmfinetune_trainer.estimate.table import table
from llmfinetune_trainer.launcher import cgroups
from llmfinetune_trainer.manifest import manifest_workers


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Prints the estimate; ends with an error where the memory surely is too small."""
    config, layout = arguments.configuration(options), Layout(options.workspace)
    workers: Mapping[str, Any] = {} if options.manifest is None else manifest_workers(options.manifest)
    limits = limits_of(workers, environment, memory=_memory(options.memory), read=cgroups.read_file)
    torch.set_num_threads(num_threads(limits))
    subject = subject_of(
        config, layout, token=hub_token(HF_TOKEN, environment), offline=options.offline, progress=say
    )
    made = made_estimate(config, subject, limits, machine=this_machine(), seconds=options.seconds)
    print(made.model_dump_json(by_alias=True) if options.json else table(made))  # noqa: T201 - this is the output
    made.check_fits()
    return exit_codes.OK


def num_threads(limits: Limits) -> int:
    """Threads of a worker, as far as this machine has processors for them."""
    usable = cgroups.own_threads()
    return min(usable, limits.threads or usable)


def _memory(text: str | None) -> int | None:
    if text is None:
        return None
    value = quantity(text)
    if value is None or value <= 0:
        raise user_error(
            "InvalidMemory", f"--memory {text} is no amount of memory", hint="write it as 4Gi or 1500M"
        )
    return int(value)
