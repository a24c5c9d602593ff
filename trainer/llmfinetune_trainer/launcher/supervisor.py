"""The pod's first process: starts torchrun's agent, forwards signals, reaps orphans, chooses the exit code.

It imports no torch: it stays small, starts at once, and cannot be what dies when memory runs out.
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from io import BufferedReader
from pathlib import Path
from types import FrameType

from llmfinetune_trainer.launcher import cgroups
from llmfinetune_trainer.launcher.ending import Ended, ending
from llmfinetune_trainer.launcher.outcome import ENV_OUTCOME, attempt_of, read_outcome, write_outcome
from llmfinetune_trainer.launcher.tail import Tail

AGENT = "llmfinetune_trainer.launcher"

log = logging.getLogger(__name__)


def launch(arguments: Sequence[str], *, environment: Mapping[str, str], termination_log: Path | None) -> int:
    """Runs the agent to its end and returns the pod's exit code."""
    with tempfile.TemporaryDirectory(prefix="llmfinetune-") as directory:
        outcome_file = Path(directory) / "outcome.json"
        child_environment = {**agent_environment(environment), ENV_OUTCOME: str(outcome_file)}
        tail = Tail(sys.stderr.buffer)
        code, told_to_stop = supervise(
            [sys.executable, "-m", AGENT, *arguments], environment=child_environment, tail=tail
        )
        ended = Ended(
            agent_code=code,
            told_to_stop=told_to_stop,
            num_oom_kills=cgroups.num_oom_kills(cgroups.read_file),
            outcome=read_outcome(outcome_file),
            log_tail=tail.text(),
        )
    exit_code, message = ending(ended, attempt=attempt_of(environment))
    log.info("agent ended with %d, pod ends with %d", code, exit_code)
    if termination_log is not None:
        write_outcome(termination_log, message)
    return exit_code


def agent_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The agent's environment: threads by the container's limit, and a rendezvous that survives rescaling."""
    defaults = {
        "OMP_NUM_THREADS": str(cgroups.own_threads()),
        # Threads that wait asleep: spinning ones eat the pod's CPU quota, and the neighbours' cores.
        "OMP_WAIT_POLICY": "PASSIVE",
        # With the store of the first round kept, a rescaled group waits for an address that is gone.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {**defaults, **environment}


def supervise(
    command: Sequence[str], *, environment: Mapping[str, str], tail: Tail | None = None
) -> tuple[int, bool]:
    """Runs a command, forwards SIGTERM and SIGINT as SIGTERM, and reaps every orphan that ends meanwhile.

    The command's error output goes through `tail`, where there is one.

    Returns:
        The command's code, negative for a signal, and whether this process was told to stop.
    """
    child = subprocess.Popen(list(command), env=dict(environment), stderr=subprocess.PIPE if tail else None)
    if tail is not None:
        assert isinstance(child.stderr, BufferedReader), "a pipe without text mode is buffered bytes"
        tail.follow(child.stderr)
    told_to_stop = False

    def forward(_number: int, _frame: FrameType | None) -> None:
        nonlocal told_to_stop
        told_to_stop = True
        # not child.send_signal: it would reap the child behind the back of the loop below
        os.kill(child.pid, signal.SIGTERM)

    previous = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        child.returncode = _reap_until(child.pid)
        return child.returncode, told_to_stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _reap_until(pid: int) -> int:
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status)
