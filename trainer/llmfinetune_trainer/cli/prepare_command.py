"""`llmfinetune prepare`: the prepare Job's command, and the first half of `train`."""

import argparse
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from llmfinetune_trainer.cli import arguments
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import HF_TOKEN, Layout
from llmfinetune_trainer.config.messages import TerminationMessage
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared
from llmfinetune_trainer.estimate.result import Estimate
from llmfinetune_trainer.estimate.stored import estimate_prepared
from llmfinetune_trainer.estimate.table import table
from llmfinetune_trainer.launcher.outcome import attempt_of, failure_of, write_outcome
from llmfinetune_trainer.launcher.tail import last_lines
from llmfinetune_trainer.prepare import prepare
from llmfinetune_trainer.report.http import Endpoint, HttpSink
from llmfinetune_trainer.report.sink import Sink
from llmfinetune_trainer.report.tracker import Tracker


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Prepares, reports what was found, and leaves it in the termination message."""
    endpoint = Endpoint.from_environment(environment)
    sinks: list[Sink] = [] if endpoint is None else [HttpSink(endpoint.post)]
    attempt = attempt_of(environment)
    tracker = Tracker(sinks, attempt=attempt, phase="Preparing")
    tracker.phase("Preparing")
    try:
        with ending_on_sigterm():
            message, code = _prepare(options, environment, tracker), exit_codes.OK
    except Exception as error:
        found = failure_of(error)
        where = "".join(traceback.format_exception(error)) if found.exit_code == exit_codes.INTERNAL else ""
        say(f"{where}llmfinetune: {found}")
        tracker.failed(found.failure)
        message = TerminationMessage(
            attempt=attempt, failure=found.failure, log_tail=last_lines(where) or None
        )
        code = found.exit_code
    if (path := arguments.termination_log(options)) is not None:
        write_outcome(path, message)
    tracker.close()
    return code


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Ends the process on SIGTERM: as a pod's first process it would else not notice, and be waited for."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(exit_codes.PREEMPTED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _prepare(
    options: argparse.Namespace, environment: Mapping[str, str], tracker: Tracker
) -> TerminationMessage:
    config, layout = arguments.configuration(options), Layout(options.workspace)
    prepared = prepare(
        config,
        layout,
        token=hub_token(HF_TOKEN, environment),
        offline=options.offline,
        progress=say,
    )
    tracker.prepared(prepared.facts)
    say(summary(prepared))
    estimate = _estimated(config, layout, prepared)
    if estimate is None:
        return TerminationMessage(attempt=tracker.current.attempt, dataset=prepared.facts)
    tracker.estimated(estimate.facts())
    say(table(estimate))
    estimate.check_fits()
    return TerminationMessage(
        attempt=tracker.current.attempt, dataset=prepared.facts, estimate=estimate.facts()
    )


def _estimated(config: RunConfig, layout: Layout, prepared: Prepared) -> Estimate | None:
    try:
        return estimate_prepared(config, layout, prepared)
    except Exception as error:  # an estimate that cannot be made must not keep a run from being tried
        say(f"no estimate: {type(error).__name__}: {error}")
        return None


def hub_token(path: Path, environment: Mapping[str, str]) -> str | None:
    """The Hugging Face token: the mounted file in a pod, the user's own variable elsewhere."""
    if path.is_file():
        return path.read_text(encoding="utf-8").strip() or None
    return environment.get("HF_TOKEN") or None


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is the output


def summary(prepared: Prepared) -> str:
    """What preparation found, in one line."""
    facts = prepared.facts
    return (
        f"prepared {facts.rows} samples ({facts.validation_rows} held out), {facts.tokens} tokens, "
        f"{facts.supervised_tokens} supervised, {facts.truncated} truncated, {facts.skipped} skipped"
    )
