"""The command `llmfinetune`: parses, runs one subcommand, and ends with one of `config.exit_codes`.

Modules with heavy imports are imported inside of commands, so that `--help` answers at once.
"""

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from llmfinetune_trainer.cli import arguments
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import RUN_CONFIG, WORKSPACE
from llmfinetune_trainer.launcher.outcome import failure_of

DESCRIPTION = """\
Fine-tunes a language model as a manifest says: the same manifest that a cluster takes with kubectl apply.

  llmfinetune train finetune.yaml --workspace run/      prepare, train, and write run/output/adapter
  llmfinetune generate --workspace run/ --prompt "…"    ask the result
"""

ESTIMATE = """\
Says what a run will need: a worker's memory by part, the work and time of a step, and how to split batches.

  llmfinetune estimate finetune.yaml                 before or after `prepare`; fetches no weights
  llmfinetune estimate finetune.yaml --memory 1Gi    would it fit into that?
  llmfinetune estimate finetune.yaml --seconds 0     at once, without times

Times come from a measurement of a few layers on this machine. Memory is held against --memory, else
spec.workers.resources.limits.memory, else the container's or the machine's; where that surely is too small,
the command ends with code 2 and says what to change. Without workers to compare with, training on this
machine chooses the same micro-batches by itself.
"""

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    options = parser().parse_args(argv)
    # Before torch is loaded: on shared cores, threads that spin while they wait cost a third of the speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except Exception as error:
        found = failure_of(error)
        if found.exit_code == exit_codes.INTERNAL:
            traceback.print_exception(error)
        print(f"llmfinetune: {found}", file=sys.stderr)  # noqa: T201 - this is the output
        return found.exit_code


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = argparse.ArgumentParser(
        prog="llmfinetune", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _prepare(commands)
    _train(commands)
    _estimate(commands)
    _launch(commands)
    _evaluate(commands)
    _generate(commands)
    _merge(commands)
    return root


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _prepare(commands: Commands) -> None:
    command = arguments.command(
        commands,
        "prepare",
        "fetch model and data, check and tokenise them, once; training then needs no network",
    )
    arguments.add_configuration(command)
    arguments.add_termination_log(command)
    command.add_argument("--offline", action="store_true", help="use only what is on this machine")
    command.set_defaults(command=_run_prepare)


def _train(commands: Commands) -> None:
    command = arguments.command(
        commands,
        "train",
        "train on this machine, without a cluster; goes on where an earlier call was stopped",
    )
    arguments.add_configuration(command)
    arguments.add_output(command, "the result")
    command.add_argument("--offline", action="store_true", help="use only what is on this machine")
    command.set_defaults(command=_run_train)


def _estimate(commands: Commands) -> None:
    command = arguments.command(
        commands, "estimate", "memory, time and the split of batches, before anything is computed"
    )
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.description = ESTIMATE
    arguments.add_configuration(command)
    command.add_argument("--offline", action="store_true", help="use only what is on this machine")
    command.add_argument("--memory", help="what a worker may use, such as 4Gi, instead of what is found")
    command.add_argument(
        "--seconds", type=float, default=10.0, help="how long to measure; 0: no times (default: %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="print one line of JSON instead of a table")
    command.set_defaults(command=_run_estimate)


def _launch(commands: Commands) -> None:
    command = arguments.command(
        commands, "launch", "run one worker of a PyTorchJob: the first process of its pod, above torchrun"
    )
    arguments.add_termination_log(command)
    command.add_argument(
        "--config", type=Path, default=RUN_CONFIG, help="run configuration (default: %(default)s)"
    )
    command.add_argument(
        "--workspace", type=Path, default=WORKSPACE, help="the volume (default: %(default)s)"
    )
    command.set_defaults(command=_run_launch)


def _evaluate(commands: Commands) -> None:
    command = arguments.command(
        commands, "evaluate", "loss and perplexity on the held-out split, before and after"
    )
    arguments.add_configuration(command)
    arguments.add_output(command, "the figures")
    command.add_argument(
        "--adapter", type=Path, help="adapter directory; the workspace's output where absent"
    )
    command.set_defaults(command=_run_evaluate)


def _generate(commands: Commands) -> None:
    command = arguments.command(
        commands, "generate", "answer prompts with the base model, an adapter, or both"
    )
    arguments.add_finished_run(command)
    command.add_argument("--model", type=Path, help="model directory or GGUF file")
    command.add_argument("--adapter", type=Path, help="adapter directory; without it the base model answers")
    questions = command.add_mutually_exclusive_group(required=True)
    questions.add_argument("--prompt", action="append", help="a question; may be given several times")
    questions.add_argument("--questions", type=Path, help='JSON Lines of {"instruction": "…"}')
    command.add_argument("--compare", action="store_true", help="also answer without the adapter")
    command.add_argument(
        "--template",
        choices=("auto", "alpaca", "chat", "plain"),
        default="auto",
        help="how a question becomes a prompt; auto: as in the training of the adapter, where it tells, "
        "else chat if the tokenizer can, else alpaca",
    )
    command.add_argument("--max-tokens", type=int, default=128, help="longest answer (default: %(default)s)")
    arguments.add_output(command, "the answers")
    command.set_defaults(command=_run_generate)


def _merge(commands: Commands) -> None:
    command = arguments.command(
        commands, "merge", "write base and adapter as one model, which plain transformers loads"
    )
    arguments.add_finished_run(command)
    command.add_argument("--model", type=Path, help="model directory")
    command.add_argument("--adapter", type=Path, help="adapter directory")
    command.add_argument("--into", type=Path, help="where to write; the workspace's output/merged if absent")
    command.set_defaults(command=_run_merge)


def _run_prepare(options: argparse.Namespace) -> int:
    from llmfinetune_trainer.cli import prepare_command

    return prepare_command.run(options, os.environ)


def _run_train(options: argparse.Namespace) -> int:
    from llmfinetune_trainer.cli import train_command

    return train_command.run(options, os.environ)


def _run_estimate(options: argparse.Namespace) -> int:
    from llmfinetune_trainer.cli import estimate_command

    return estimate_command.run(options, os.environ)


def _run_launch(options: argparse.Namespace) -> int:
    from llmfinetune_trainer.launcher.supervisor import launch

    logging.getLogger().setLevel(logging.INFO)
    worker = ["--config", str(options.config), "--workspace", str(options.workspace)]
    return launch(worker, environment=os.environ, termination_log=arguments.termination_log(options))


def _run_evaluate(options: argparse.Namespace) -> int:
    from llmfinetune_trainer.cli import evaluate_command

    return evaluate_command.run(options)


def _run_generate(options: argparse.Namespace) -> int:
    from llmfinetune_trainer.cli import generate_command

    return generate_command.run(options)


def _run_merge(options: argparse.Namespace) -> int:
    from llmfinetune_trainer.cli import merge_command

    return merge_command.run(options)
