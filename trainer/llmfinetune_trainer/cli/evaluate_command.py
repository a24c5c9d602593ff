"""`llmfinetune evaluate`: the held-out loss of the base model and of an adapter."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from llmfinetune_trainer.checkpoint.adapter_files import read_adapter, unlike
from llmfinetune_trainer.cli import arguments
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared, open_prepared
from llmfinetune_trainer.engine.distributed import Alone
from llmfinetune_trainer.engine.machine import this_machine
from llmfinetune_trainer.engine.opening import open_model
from llmfinetune_trainer.errors import data_error, user_error
from llmfinetune_trainer.evaluate import evaluate
from llmfinetune_trainer.perplexity import perplexity


def run(options: argparse.Namespace) -> int:
    """Prints loss and perplexity before (adapter off) and after (adapter on)."""
    config, layout = arguments.configuration(options), Layout(options.workspace)
    prepared = open_prepared(config, layout)
    if prepared.validation.num_samples == 0:
        raise data_error(
            "NothingHeldOut", "no samples are held out", hint="set spec.dataset.validationSplit above 0"
        )
    adapter = _fitting_adapter(options.adapter or layout.adapter, config, prepared)
    alone = Alone()
    model = open_model(config, prepared, layout=layout, ranks=alone, machine=this_machine())
    budget = model.token_budget
    before = evaluate(prepared.validation, model.computer, alone, budget=budget, check_stop=lambda: None)
    model.adapters.load(adapter)
    after = evaluate(prepared.validation, model.computer, alone, budget=budget, check_stop=lambda: None)
    assert before is not None
    assert after is not None
    _show(before, after, as_json=options.output == "json")
    return exit_codes.OK


def _fitting_adapter(directory: Path, config: RunConfig, prepared: Prepared) -> Mapping[str, Tensor]:
    """An adapter's weights, by the names that peft saves.

    Raises:
        RunError: it cannot be read, or another scale, rank, layers or base would make its figures wrong.
    """
    adapter = read_adapter(directory)
    if problems := unlike(adapter, config, prepared):
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise user_error(
            "AdapterUnfit",
            f"the adapter in {directory} does not fit this configuration:\n{listed}",
            hint="give the manifest that it was trained with, or another --adapter",
        )
    return adapter.weights


def _show(before: float, after: float, *, as_json: bool) -> None:
    figures = {
        "lossBefore": before,
        "loss": after,
        "perplexityBefore": perplexity(before),
        "perplexity": perplexity(after),
    }
    if as_json:
        print(json.dumps(figures))  # noqa: T201 - this is the output
        return
    for name, value in figures.items():
        print(f"{name:<18}{value:.4f}")  # noqa: T201 - this is the output
