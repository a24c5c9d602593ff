"""`llmfinetune train`: everything on one machine, without a cluster."""

import argparse
import sys
from collections.abc import Mapping

from rich.console import Console

from llmfinetune_trainer.cli import arguments
from llmfinetune_trainer.cli.prepare_command import hub_token, say, summary
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import HF_TOKEN, Layout
from llmfinetune_trainer.config.messages import Result
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.engine.stop import StopSignal
from llmfinetune_trainer.imports import without_collection
from llmfinetune_trainer.launcher.outcome import attempt_of
from llmfinetune_trainer.report.sink import History, Sink


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Prepares if that is needed, trains, and prints the result."""
    config = arguments.configuration(options)
    layout = Layout(options.workspace)
    with StopSignal() as stop:
        with without_collection():
            from llmfinetune_trainer.engine import session
            from llmfinetune_trainer.engine.distributed import Alone
            from llmfinetune_trainer.prepare import prepare

        token = hub_token(HF_TOKEN, environment)
        say(summary(prepare(config, layout, token=token, offline=options.offline, progress=say)))
        result = session.train(
            session.Run(
                config=config,
                layout=layout,
                attempt=attempt_of(environment),
                ranks=Alone(),
                make_sinks=lambda history: _sinks(config, layout, history=history),
                stop=stop,
            )
        )
    _show(result, layout, as_json=options.output == "json")
    return exit_codes.OK


def _sinks(config: RunConfig, layout: Layout, *, history: History) -> list[Sink]:
    from llmfinetune_trainer.report.files import MetricsFile, TensorBoardFiles
    from llmfinetune_trainer.report.terminal import LogLines, TerminalBar

    console = Console(stderr=True)
    return [
        TerminalBar(console) if console.is_terminal else LogLines(sys.stderr),
        MetricsFile(layout.logs, history=history, metrics=config.evaluation.metrics),
        TensorBoardFiles(layout.logs, resumed_step=history.step),
    ]


def _show(result: Result, layout: Layout, *, as_json: bool) -> None:
    if as_json:
        print(result.model_dump_json(by_alias=True))  # noqa: T201 - this is the output
        return
    before, after = result.eval_loss_before, result.eval_loss
    held_out = "" if before is None or after is None else f", held-out loss {before:.4f} → {after:.4f}"
    print(f"{result.steps} steps, loss {result.loss:.4f}{held_out}")  # noqa: T201 - this is the output
    print(f"adapter: {layout.adapter}")  # noqa: T201 - this is the output
