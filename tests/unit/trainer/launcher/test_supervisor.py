"""The pod's first process, on real child processes."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch.distributed.elastic.rendezvous import RendezvousTimeoutError
from torch.distributed.launcher.api import LaunchConfig

from llmfinetune_trainer.config.layout import ENV_ATTEMPT
from llmfinetune_trainer.launcher.agent import Environment, count_restart, no_rendezvous, restarts_left
from llmfinetune_trainer.launcher.outcome import ENV_OUTCOME, ENV_RESTARTS, read_outcome
from llmfinetune_trainer.launcher.supervisor import supervise

pytestmark = [
    pytest.mark.timeout(300),  # importing torch takes long on a busy machine
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and its bindings, not ours
]

SUPERVISE = """
import os, sys
from llmfinetune_trainer.launcher.supervisor import supervise
code, told = supervise([sys.executable, "-c", sys.argv[1]], environment=os.environ)
print(code, told)
"""


@pytest.mark.parametrize(
    ("script", "code"), [("", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_code_of_the_child_is_returned(script: str, code: int) -> None:
    assert supervise([sys.executable, "-c", script], environment=os.environ) == (code, False)


def test_orphans_are_reaped_and_their_codes_not_mistaken_for_the_childs() -> None:
    script = (
        "import os, time\nif os.fork() == 0:\n  raise SystemExit(9)\ntime.sleep(0.3)\nraise SystemExit(4)"
    )
    assert supervise([sys.executable, "-c", script], environment=os.environ) == (4, False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_child_as_sigterm(number: signal.Signals, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = (
        "import signal, sys, time, pathlib\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(21))\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    while not ready.exists():
        time.sleep(0.02)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert output.split() == ["21", "True"]


def test_a_worker_that_ran_out_of_memory_is_not_started_again_in_its_pod() -> None:
    assert restarts_left([-9], remaining=3, out_of_memory=True) == 0
    assert restarts_left([138], remaining=3, out_of_memory=True) == 4, "a peer is gone, not this one"


def test_restarts_are_told_to_the_next_process_and_the_last_crash_to_the_launcher(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    environment = {ENV_OUTCOME: str(path), ENV_ATTEMPT: "a-1"}
    count_restart([-11], is_last=False, out_of_memory=False, environment=environment)
    assert environment[ENV_RESTARTS] == "1"
    assert not path.exists()
    count_restart([-11], is_last=True, out_of_memory=False, environment=environment)
    outcome = read_outcome(path)
    assert environment[ENV_RESTARTS] == "2"
    assert outcome is not None
    assert outcome.failure is not None
    assert (outcome.failure.reason, outcome.failure.retryable) == ("Crashed", True)
    assert "signal 11" in outcome.failure.message


@pytest.mark.parametrize(
    ("codes", "left"),
    [([138], 4), ([143, 138], 4), ([-9], 3), ([138, -9], 3), ([2], 0), ([138, 2], 0), ([1], 0)],
    ids=[
        "peers lost: free",
        "preempted: free",
        "a crash costs one",
        "a crash beside lost peers costs one",
        "the user must act: at once",
        "the user must act, the others lost it",
        "a defect: at once",
    ],
)
def test_only_crashes_use_up_restarts(codes: list[int], left: int) -> None:
    assert restarts_left(codes, remaining=3) == left


def test_a_restarted_worker_gets_the_variables_of_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Environment()
    monkeypatch.setenv(ENV_RESTARTS, "3")
    assert pickle.loads(pickle.dumps(environment))[ENV_RESTARTS] == "3"  # noqa: S301 - our own bytes


def test_workers_that_do_not_meet_are_told_of_with_numbers() -> None:
    config = LaunchConfig(min_nodes=2, max_nodes=4, nproc_per_node=1, rdzv_endpoint="medical-worker-0:23456")
    found = no_rendezvous(config, RendezvousTimeoutError("timed out"), seconds=600.4)
    assert (found.category, found.reason, found.retryable) == ("Network", "NoRendezvous", True)
    assert "2 to 4 workers" in found.message
    assert "medical-worker-0:23456, 600 s after" in found.message
