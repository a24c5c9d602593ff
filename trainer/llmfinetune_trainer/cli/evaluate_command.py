"""`llmfinetune evaluate`: the held-out loss of the base model and of an adapter."""

import argparse
import json

from safetensors.torch import load_file

from llmfinetune_trainer.cli import arguments
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.data.prepared import open_prepared
from llmfinetune_trainer.engine.distributed import Alone
from llmfinetune_trainer.engine.machine import this_machine
from llmfinetune_trainer.engine.opening import open_model
from llmfinetune_trainer.errors import data_error
from llmfinetune_trainer.evaluate import evaluate
from llmfinetune_trainer.export import WEIGHTS
from llmfinetune_trainer.perplexity import perplexity


def run(options: argparse.Namespace) -> int:
    """Prints loss and perplexity before (adapter off) and after (adapter on)."""
    config, layout = arguments.configuration(options), Layout(options.workspace)
    prepared = open_prepared(config, layout)
    if prepared.validation.num_samples == 0:
        raise data_error(
            "NothingHeldOut", "no samples are held out", hint="set spec.dataset.validationSplit above 0"
        )
    alone = Alone()
    model = open_model(config, prepared, layout=layout, ranks=alone, machine=this_machine())
    budget = model.token_budget
    before = evaluate(prepared.validation, model.computer, alone, budget=budget, check_stop=lambda: None)
    model.adapters.load(load_file((options.adapter or layout.adapter) / WEIGHTS))
    after = evaluate(prepared.validation, model.computer, alone, budget=budget, check_stop=lambda: None)
    assert before is not None
    assert after is not None
    _show(before, after, as_json=options.output == "json")
    return exit_codes.OK


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
