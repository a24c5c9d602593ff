"""torchrun's elastic agent, with restarts counted by what happened.

Plain torchrun counts every worker that ends, also one that left because a peer was preempted, and gives up
after `--max-restarts`. Here a worker that says "try again" (exit code 128 or more of its own) restarts for
free, one that says "never" or ran out of memory ends the agent at once, and only crashes use up the restarts.
Few crashes are healed inside the pod, in seconds; who keeps crashing is the operator's to judge.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import MutableMapping
from pathlib import Path

from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import api as process_contexts
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.launcher import api
from torch.distributed.run import config_from_args, get_args_parser

from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.messages import Failure, TerminationMessage
from llmfinetune_trainer.engine import worker
from llmfinetune_trainer.launcher import cgroups
from llmfinetune_trainer.launcher.outcome import (
    ENV_OUTCOME,
    ENV_RESTARTS,
    attempt_of,
    failure,
    write_outcome,
)
from llmfinetune_trainer.launcher.zygote import START_METHOD

FAILED = 1
"""torchrun's own code for workers that failed; what of, their outcome tells."""
FREE_RESTARTS = (exit_codes.RETRYABLE, exit_codes.PREEMPTED)
SETTLE_SECONDS = 1.0
"""Pause before workers that lost a peer meet again, so that the peer's own agent has noticed too."""


log = logging.getLogger(__name__)


class CountingAgent(LocalElasticAgent):
    """An elastic agent that lets only crashes use up restarts."""

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        result: RunResult = super()._monitor_workers(worker_group)
        if result.state is WorkerState.FAILED:
            codes = [failure.exitcode for failure in result.failures.values()]
            log.error("training process ended with %s (negative: by that signal)", codes)
            ran_out = cgroups.num_oom_kills(cgroups.read_file) > 0
            left = restarts_left(codes, remaining=self._remaining_restarts, out_of_memory=ran_out)
            self._remaining_restarts = left
            count_restart(codes, is_last=left == 0, out_of_memory=ran_out, environment=os.environ)
            time.sleep(SETTLE_SECONDS)
        return result


class Environment:
    """Arrives at a worker as the variables that this process has when the worker starts: it is forked from
    another process, with those of that one's start."""

    def __reduce__(self) -> tuple[type, tuple[dict[str, str]]]:
        """Says how to make it where it arrives."""
        return dict, (dict(os.environ),)


def restarts_left(codes: list[int], *, remaining: int, out_of_memory: bool = False) -> int:
    """Restarts that are left when workers ended so, before torchrun takes one for the restart it does now."""
    if any(0 < code < 128 for code in codes) or (out_of_memory and -signal.SIGKILL in codes):
        return 0
    if all(code in FREE_RESTARTS for code in codes):
        return remaining + 1
    return remaining


def count_restart(
    codes: list[int], *, is_last: bool, out_of_memory: bool, environment: MutableMapping[str, str]
) -> None:
    """Tells the next training process that it is another one, or the launcher why there is none."""
    environment[ENV_RESTARTS] = str(int(environment.get(ENV_RESTARTS, "0")) + 1)
    crashes = [code for code in codes if code < 0]
    path = environment.get(ENV_OUTCOME)
    if path is None or not is_last or not crashes or out_of_memory or Path(path).exists():
        return
    found = failure(
        "Internal",
        "Crashed",
        f"the training process was ended by signal {-crashes[0]}, and not for the first time in this pod",
        hint="read status.failure.logTail, or the events of the node",
        retryable=True,
    )
    write_outcome(Path(path), TerminationMessage(attempt=attempt_of(environment), failure=found))


def main(arguments: list[str] | None = None) -> int:
    """Runs the agent; rendezvous comes from the PET_* variables that the training operator sets."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    worker_arguments = sys.argv[1:] if arguments is None else arguments
    options = get_args_parser().parse_args(["--module", worker.__name__, *worker_arguments])
    config, _command, _arguments = config_from_args(options)
    config.start_method = START_METHOD
    # it says over dozens of lines what the worker has said in one, and would be all that is left of the log
    logging.getLogger(process_contexts.__name__).setLevel(logging.CRITICAL)
    # the agent's class is not a parameter of torch's launcher, and everything else in it is needed
    vars(api)["LocalElasticAgent"] = CountingAgent
    started = time.monotonic()
    try:
        api.launch_agent(config, worker.run, [Environment(), *worker_arguments])
    except ChildFailedError:
        return FAILED
    except RendezvousError as error:
        found = no_rendezvous(config, error, seconds=time.monotonic() - started)
        log.error("%s", found.message)
        if path := os.environ.get(ENV_OUTCOME):
            write_outcome(Path(path), TerminationMessage(attempt=attempt_of(os.environ), failure=found))
        return exit_codes.RETRYABLE
    return exit_codes.OK


def no_rendezvous(config: api.LaunchConfig, error: RendezvousError, *, seconds: float) -> Failure:
    """Why workers did not meet, with the numbers to judge it by."""
    return failure(
        "Network",
        "NoRendezvous",
        f"found no {config.min_nodes} to {config.max_nodes} workers to train with at "
        f"{config.rdzv_endpoint}, {seconds:.0f} s after the start of this pod: "
        f"{type(error).__name__}: {error}",
        hint="look whether all worker pods run and may reach each other (NetworkPolicy, DNS of the pods)",
        retryable=True,
    )
