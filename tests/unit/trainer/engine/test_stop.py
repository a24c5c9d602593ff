"""Signals stop a run, also one that is blocked."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from llmfinetune_trainer.engine.stop import StopSignal
from llmfinetune_trainer.errors import RunError

BLOCKED = """
import sys, time
from llmfinetune_trainer.engine.stop import StopSignal
def save():
    print("saving", flush=True)
    if sys.argv[1:]:
        raise OSError(28, "No space left on device")
with StopSignal(grace=0.2) as stop:
    stop.on_overdue = save
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_signal_is_noticed_at_the_next_check() -> None:
    with StopSignal() as stop:
        stop.check()
        signal.raise_signal(signal.SIGTERM)
        _wait(lambda: stop.requested)
        with pytest.raises(RunError) as caught:
            stop.check()
    assert caught.value.exit_code == 143


@pytest.mark.parametrize("disk", ["", "full"], ids=["with room on the disk", "on a full disk"])
def test_what_a_blocked_run_has_is_saved_and_the_process_ends(disk: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BLOCKED, *disk.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert output == "saving\n"
    assert process.returncode == 143
    assert ("No space left" in errors) == bool(disk)


def test_handlers_and_threads_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM), threading.active_count()
    with StopSignal():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), threading.active_count()) == before


def _wait(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
