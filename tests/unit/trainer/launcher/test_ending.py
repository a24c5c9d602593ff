"""Exit codes and termination messages of a worker pod."""

import signal

import pytest

from llmfinetune_trainer.config.messages import MAX_TERMINATION_BYTES, Failure, Result, TerminationMessage
from llmfinetune_trainer.errors import diverged, network_error, user_error
from llmfinetune_trainer.launcher.ending import Ended, ending
from llmfinetune_trainer.launcher.outcome import encode, failure_of

RESULT = TerminationMessage(
    attempt="1",
    result=Result(attempt="1", adapter="output/adapter", sha256="sha256:" + "0" * 64, steps=5, loss=1.0),
)
USER = TerminationMessage(attempt="1", failure=user_error("Bad", "bad", hint="mend it").failure)
DIVERGED = TerminationMessage(attempt="1", failure=diverged("LossNotFinite", "NaN", hint="slower").failure)
CRASHED = TerminationMessage(
    attempt="1",
    failure=Failure(category="Internal", reason="Crashed", retryable=True, message="signal 11", hint="h"),
)
LOST = TerminationMessage(attempt="1", failure=network_error("PeersLost", "gone", hint="wait").failure)


@pytest.mark.parametrize(
    ("ended", "code", "category"),
    [
        (Ended(0, told_to_stop=False, num_oom_kills=0, outcome=RESULT), 0, None),
        (Ended(0, told_to_stop=False, num_oom_kills=0, outcome=None), 138, "Network"),
        (Ended(1, told_to_stop=False, num_oom_kills=0, outcome=None), 138, "Network"),
        (Ended(1, told_to_stop=False, num_oom_kills=0, outcome=RESULT), 138, "Network"),
        (Ended(1, told_to_stop=False, num_oom_kills=0, outcome=LOST), 138, "Network"),
        (Ended(1, told_to_stop=False, num_oom_kills=0, outcome=USER), 2, "UserError"),
        (Ended(1, told_to_stop=False, num_oom_kills=0, outcome=DIVERGED), 4, "Diverged"),
        (Ended(1, told_to_stop=True, num_oom_kills=0, outcome=USER), 143, "Preempted"),
        (Ended(0, told_to_stop=True, num_oom_kills=0, outcome=None), 143, "Preempted"),
        (Ended(0, told_to_stop=True, num_oom_kills=0, outcome=RESULT), 143, None),
        (Ended(1, told_to_stop=False, num_oom_kills=1, outcome=None), 137, "OutOfMemory"),
        (Ended(1, told_to_stop=False, num_oom_kills=0, outcome=CRASHED), 137, "Internal"),
        (Ended(-signal.SIGKILL, told_to_stop=False, num_oom_kills=0, outcome=None), 137, "Internal"),
    ],
    ids=[
        "a result is there",
        "torchrun ended well without a result: never 0",
        "torchrun lost its rendezvous",
        "torchrun failed after the result was written: the next try finds it",
        "a worker lost its peers",
        "the worker says that the user must act",
        "the loss became NaN",
        "told to stop while torchrun says 1",
        "told to stop while torchrun says 0",
        "told to stop after the result was written",
        "the kernel killed the worker for memory",
        "the worker keeps crashing: the pod is replaced, the job does not fail",
        "someone killed torchrun",
    ],
)
def test_how_a_pod_ends(ended: Ended, code: int, category: str | None) -> None:
    exit_code, message = ending(ended, attempt="1")
    assert exit_code == code
    assert (message.failure and message.failure.category) == category
    assert message.failure is None or message.failure.hint
    assert message.attempt == "1"


@pytest.mark.parametrize("killed", [0, 1], ids=["by someone", "for memory"])
@pytest.mark.parametrize("told_to_stop", [True, False], ids=["told to stop", "not told to"])
@pytest.mark.parametrize("agent_code", [1, -signal.SIGKILL], ids=["torchrun failed", "torchrun was killed"])
def test_what_the_launcher_itself_finds_names_what_to_do(
    agent_code: int, told_to_stop: bool, killed: int
) -> None:
    ended = Ended(agent_code, told_to_stop=told_to_stop, num_oom_kills=killed, outcome=None)
    failure = ending(ended, attempt="1")[1].failure
    assert failure is not None
    assert failure.hint


def test_message_fits_whatever_the_failure_says() -> None:
    failure = Failure(category="Data", reason="R", retryable=False, message="ü" * 1024, hint="😀" * 1024)
    text = encode(TerminationMessage(attempt="1", failure=failure))
    assert len(text.encode()) <= MAX_TERMINATION_BYTES
    assert TerminationMessage.model_validate_json(text).failure is not None


@pytest.mark.parametrize(
    ("error", "category", "code"),
    [
        (user_error("Bad", "bad", hint="mend it"), "UserError", 2),
        (OSError(28, "No space left on device"), "DiskFull", 5),
        (MemoryError(), "OutOfMemory", 3),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "OutOfMemory", 3),
        (KeyError("x"), "Internal", 3),
    ],
    ids=["one of ours", "volume full", "no memory", "torch has no memory", "a defect"],
)
def test_any_error_has_a_category_and_a_code(error: Exception, category: str, code: int) -> None:
    found = failure_of(error)
    assert (found.failure.category, found.exit_code) == (category, code)
