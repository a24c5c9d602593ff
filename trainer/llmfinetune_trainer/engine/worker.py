"""One training process, as torchrun's agent forks it.

It ends with one of `config.exit_codes`, and leaves what happened in the file that the launcher named.
"""

import argparse
import ctypes
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import RUN_CONFIG, WORKSPACE, Layout
from llmfinetune_trainer.config.messages import Result, TerminationMessage
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.engine.stop import StopSignal
from llmfinetune_trainer.launcher.outcome import (
    ENV_OUTCOME,
    ENV_RESTARTS,
    attempt_of,
    failure_of,
    write_outcome,
)
from llmfinetune_trainer.manifest import load_run_config
from llmfinetune_trainer.report.http import Endpoint, HttpSink
from llmfinetune_trainer.report.sink import History, Sink
from llmfinetune_trainer.report.terminal import LogLines

_PR_SET_NAME = 15

log = logging.getLogger(__name__)


def run(environment: Mapping[str, str], *arguments: str) -> None:
    """Trains as one rank, in a process of its own whose name tells which: `trainer-<rank>`.

    Args:
        environment: variables that this process lacks.
        arguments: its command line.

    Raises:
        SystemExit: training did not end well.
    """
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    _name_process(f"trainer-{os.environ['RANK']}")
    if code := main(list(arguments)):
        sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Trains as one rank of the group that the environment describes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    options = _parser().parse_args(arguments)
    attempt = attempt_of(os.environ)
    _forget_outcome(os.environ)
    try:
        result = _train(options.config, Layout(options.workspace), attempt=attempt)
    except Exception as error:
        found = failure_of(error)
        if found.exit_code == exit_codes.INTERNAL:
            traceback.print_exc()
        log.error("%s", found)
        _leave_outcome(TerminationMessage(attempt=attempt, failure=found.failure), os.environ)
        return found.exit_code
    _leave_outcome(TerminationMessage(attempt=attempt, result=result), os.environ)
    return exit_codes.OK


def _train(config_path: Path, layout: Layout, *, attempt: str) -> Result:
    with StopSignal() as stop:
        # imported after the signal's handler is there: they take seconds in which a pod may be told to stop
        from llmfinetune_trainer.engine import session
        from llmfinetune_trainer.engine.backend import choose_backend, choose_communication
        from llmfinetune_trainer.engine.distributed import joined
        from llmfinetune_trainer.engine.machine import this_machine

        config = load_run_config(config_path)
        backend = choose_backend(config.runtime, precision=config.training.precision, machine=this_machine())
        with joined(choose_communication(config.runtime, device=backend.device)) as ranks:
            return session.train(
                session.Run(
                    config=config,
                    layout=layout,
                    attempt=attempt,
                    ranks=ranks,
                    make_sinks=lambda history: cluster_sinks(config, layout, os.environ, history=history),
                    stop=stop,
                    restarts=int(os.environ.get(ENV_RESTARTS, "0")),
                )
            )


def cluster_sinks(
    config: RunConfig, layout: Layout, environment: Mapping[str, str], *, history: History
) -> list[Sink]:
    """Where a worker's progress goes: the pod's log, files on the volume, and the operator."""
    from llmfinetune_trainer.report.files import MetricsFile, TensorBoardFiles

    sinks: list[Sink] = [
        LogLines(sys.stdout),
        MetricsFile(layout.logs, history=history, metrics=config.evaluation.metrics),
        TensorBoardFiles(layout.logs, resumed_step=history.step),
    ]
    endpoint = Endpoint.from_environment(environment)
    return sinks if endpoint is None else [*sinks, HttpSink(endpoint.post)]


def _forget_outcome(environment: Mapping[str, str]) -> None:
    """Removes what an earlier process of this pod left: if this one is killed, that would be believed."""
    if path := environment.get(ENV_OUTCOME):
        Path(path).unlink(missing_ok=True)


def _leave_outcome(message: TerminationMessage, environment: Mapping[str, str]) -> None:
    if path := environment.get(ENV_OUTCOME):
        write_outcome(Path(path), message)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="One training process of a fine-tune; torchrun starts it.")
    parser.add_argument("--config", type=Path, default=RUN_CONFIG, help="run configuration (JSON)")
    parser.add_argument("--workspace", type=Path, default=WORKSPACE, help="the fine-tune's volume")
    return parser


def _name_process(name: str) -> None:
    """Sets what `ps` and `top` show; a forked process has its parent's command line."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)
