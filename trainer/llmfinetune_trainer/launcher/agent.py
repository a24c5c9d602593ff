"""torchrun's elastic agent, with restarts counted by what happened: `python -m
llmfinetune_trainer.launcher.agent`.

Plain torchrun counts every worker that ends, also one that left because a peer was preempted, and gives up
after `--max-restarts`. Here a worker that says "try again" (exit code 128 or more of its own) restarts for
free, one that says "never" ends the agent at once, and only crashes use up the restarts.
"""

import logging
import sys
import time

from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.launcher import api
from torch.distributed.run import config_from_args, get_args_parser

from llmfinetune_trainer.config import exit_codes

WORKER = "llmfinetune_trainer.engine.worker"
FREE_RESTARTS = (exit_codes.RETRYABLE, exit_codes.PREEMPTED)
SETTLE_SECONDS = 1.0
"""Pause before workers that lost a peer meet again, so that the peer's own agent has noticed too."""


class CountingAgent(LocalElasticAgent):
    """An elastic agent that lets only crashes use up restarts."""

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        result: RunResult = super()._monitor_workers(worker_group)
        if result.state is WorkerState.FAILED:
            codes = [failure.exitcode for failure in result.failures.values()]
            self._remaining_restarts = restarts_left(codes, remaining=self._remaining_restarts)
            time.sleep(SETTLE_SECONDS)
        return result


def restarts_left(codes: list[int], *, remaining: int) -> int:
    """Restarts that are left when workers ended so, before torchrun takes one for the restart it does now."""
    if any(0 < code < 128 for code in codes):
        return 0
    if all(code in FREE_RESTARTS for code in codes):
        return remaining + 1
    return remaining


def main(arguments: list[str] | None = None) -> int:
    """Runs the agent; rendezvous comes from the PET_* variables that the training operator sets."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    worker_arguments = sys.argv[1:] if arguments is None else arguments
    options = get_args_parser().parse_args(["--module", WORKER, *worker_arguments])
    config, command, command_arguments = config_from_args(options)
    # the agent's class is not a parameter of torch's launcher, and everything else in it is needed
    vars(api)["LocalElasticAgent"] = CountingAgent
    api.launch_agent(config, command, command_arguments)
    return exit_codes.OK


if __name__ == "__main__":
    sys.exit(main())
