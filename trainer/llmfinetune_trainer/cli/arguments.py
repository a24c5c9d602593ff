"""Options that several commands share."""

import argparse
from pathlib import Path
from typing import Any

from llmfinetune_trainer.config.layout import TERMINATION_LOG
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.manifest import load_manifest, load_run_config

DEFAULT_WORKSPACE = Path("llmfinetune-workspace")


def command(commands: Any, name: str, help_text: str) -> argparse.ArgumentParser:
    """A subcommand."""
    added: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=help_text)
    return added


def add_configuration(command: argparse.ArgumentParser) -> None:
    """What to compute and where: a manifest or a run configuration, and a workspace."""
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("manifest", nargs="?", type=Path, help="LLMFineTune manifest (YAML)")
    what.add_argument("--config", type=Path, help="run configuration (JSON), as the operator writes it")
    command.add_argument(
        "--workspace",
        type=Path,
        default=DEFAULT_WORKSPACE,
        help="directory for data, checkpoints and result (default: %(default)s)",
    )


def add_finished_run(command: argparse.ArgumentParser) -> None:
    """`--workspace` of a run that has ended."""
    command.add_argument(
        "--workspace", type=Path, help="a workspace of `train`: takes model and adapter from it"
    )


def add_output(command: argparse.ArgumentParser, what: str) -> None:
    """`--output text|json`."""
    command.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        help=f"how {what} is printed; json: one line at the end",
    )


def add_termination_log(command: argparse.ArgumentParser) -> None:
    """`--termination-log FILE`."""
    command.add_argument(
        "--termination-log", type=Path, help=f"file for the outcome as JSON (in a pod: {TERMINATION_LOG})"
    )


def configuration(options: argparse.Namespace) -> RunConfig:
    """Reads the manifest or the run configuration.

    Raises:
        RunError: it is not valid.
    """
    return load_manifest(options.manifest) if options.config is None else load_run_config(options.config)


def termination_log(options: argparse.Namespace) -> Path | None:
    """The file for the outcome: the option, else Kubernetes' own where this is a pod."""
    chosen: Path | None = options.termination_log
    return chosen or (TERMINATION_LOG if TERMINATION_LOG.exists() else None)
