"""The end of the log that a failed pod leaves behind."""

import io
import os
import sys

import pytest

from llmfinetune_trainer.config.messages import (
    MAX_LOG_TAIL,
    MAX_TERMINATION_BYTES,
    Failure,
    Result,
    TerminationMessage,
)
from llmfinetune_trainer.launcher.ending import Ended, ending
from llmfinetune_trainer.launcher.outcome import encode
from llmfinetune_trainer.launcher.supervisor import supervise
from llmfinetune_trainer.launcher.tail import Tail, last_lines

LINES = "".join(f"line {number}\n" for number in range(1000))


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("a\nb\n", "a\nb", id="all of a short log"),
        pytest.param("first\nsecond\nthird", "third", id="whole lines only"),
        pytest.param("abcdefghijklmn", "efghijklmn", id="the end of one long line"),
        pytest.param("token=abcdefgh", "[redacted]", id="no secret"),
        pytest.param("a\x00b", "ab", id="nothing that JSON or YAML cannot hold"),
    ],
)
def test_last_lines(text: str, tail: str) -> None:
    assert last_lines(text, limit=10) == tail


def test_error_output_passes_through_and_its_end_is_kept() -> None:
    out = io.BytesIO()
    tail = Tail(out)
    script = f"import sys; sys.stderr.write({LINES!r}); sys.stderr.write('hf_' + 'a' * 20); sys.exit(3)"
    assert supervise([sys.executable, "-c", script], environment=os.environ, tail=tail) == (3, False)
    assert tail.text().endswith("line 999\n[redacted]")
    assert len(tail.text()) <= MAX_LOG_TAIL
    assert out.getvalue().decode().startswith("line 0\n")


FINISHED = TerminationMessage(
    attempt="1",
    result=Result(attempt="1", adapter="output/adapter", sha256="sha256:" + "0" * 64, steps=5, loss=1.0),
)
FAILED = Ended(1, told_to_stop=False, num_oom_kills=0, outcome=None, log_tail="Traceback")


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (FAILED, "Traceback"),
        (FAILED._replace(told_to_stop=True), "Traceback"),
        (FAILED._replace(told_to_stop=True, outcome=FINISHED), None),
        (FAILED._replace(log_tail=""), None),
    ],
    ids=["a failure", "a pod that was told to stop", "one that was told to stop with its result", "no log"],
)
def test_which_endings_carry_the_log(ended: Ended, told: str | None) -> None:
    assert ending(ended, attempt="1")[1].log_tail == told


def test_the_log_gives_way_before_the_failure_does() -> None:
    failure = Failure(category="Internal", reason="R", retryable=False, message="ü" * 1024, hint="h")
    message = TerminationMessage(attempt="1", failure=failure, log_tail='"' * 2000 + "the end")
    text = encode(message)
    kept = TerminationMessage.model_validate_json(text)
    assert len(text.encode()) <= MAX_TERMINATION_BYTES
    assert kept.failure == failure
    assert kept.log_tail is not None
    assert kept.log_tail.endswith("the end")
