"""The prepare pod's first process ends when it is told to: the kernel gives pid 1 no default for SIGTERM."""

import signal

import pytest

from llmfinetune_trainer.cli.prepare_command import ending_on_sigterm
from llmfinetune_trainer.config import exit_codes


def test_sigterm_ends_preparation_with_the_code_of_a_stop() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, ending_on_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == exit_codes.PREEMPTED
    assert signal.getsignal(signal.SIGTERM) is before
