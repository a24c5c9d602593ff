"""The operator's command line."""

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmfinetune_operator import logs
from llmfinetune_operator.errors import OperatorError, UsageError
from llmfinetune_operator.process import Operator
from llmfinetune_operator.settings import Settings
from llmfinetune_operator.settings_text import help_text

logger = logging.getLogger(__name__)

EXAMPLES = """
  llmfinetune-operator                      serve every namespace
  llmfinetune-operator -n ml -n research    serve two namespaces

The API server is found by the pod's service account or by KUBECONFIG. All else is set by environment
variables, in a cluster those of the operator's Deployment:
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the operator; end with status 2 where it cannot be started so, 1 where it failed."""
    options = parse_arguments(arguments)
    logs.set_up(log_format=options.log_format, level=options.log_level)
    try:
        settings = read_settings(os.environ)
        # Modules stay for ever: looking through them again and again for garbage costs much and finds none.
        gc.freeze()
        asyncio.run(Operator(options, settings, instance=os.environ.get("HOSTNAME", "local")).run())
    except UsageError as error:
        sys.exit(f"llmfinetune-operator: {error}")
    except OperatorError as error:
        logger.error("the operator ends: %s", error)
        sys.exit(1)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        prog="llmfinetune-operator",
        description="Fine-tunes language models: makes and keeps what each LLMFineTune asks for.",
        epilog=f"{EXAMPLES}\n{help_text()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "-n",
        "--namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="namespace to serve (default: all)",
    )
    add("--workers", type=positive, default=8, help="reconciles that run side by side (default: %(default)s)")
    add(
        "--progress-port",
        type=port,
        default=8443,
        help="HTTPS port for trainers' reports (default: %(default)s)",
    )
    add(
        "--http-port",
        type=port,
        default=8080,
        help="port of /healthz, /readyz, /metrics (default: %(default)s)",
    )
    add(
        "--state-dir", type=Path, help="where the certificate authority survives a restart (default: nowhere)"
    )
    add("--log-format", choices=("json", "text"), default="json", help="(default: %(default)s)")
    add(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="(default: %(default)s)",
    )
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """Return the number, of 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def port(text: str) -> int:
    """Return the port number; 0 takes any free one."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: give 0 to 65535")
    return value


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings in the environment.

    Raises:
        UsageError: one is missing or not valid.
    """
    try:
        return Settings.from_environment(environment)
    except ValueError as error:
        raise UsageError(str(error)) from error
