"""What the end of a container means."""

import pytest

from llmfinetune_operator.policies.pods import Termination
from llmfinetune_operator.policies.termination import explain, is_preemption
from tests.unit.operator.decide.world import failure_message


def ended(code: int, reason: str = "Error", message: str = "", *, disrupted: bool = False) -> Termination:
    return Termination(pod="p", exit_code=code, reason=reason, message=message, disrupted=disrupted)


ENDINGS = {
    "the trainer's own words": (ended(2, message=failure_message("Data", "Empty")), "Data", "Empty", False),
    "the trainer's own word about retries": (
        ended(5, message=failure_message("DiskFull", "Full", retryable=True)),
        "DiskFull",
        "Full",
        True,
    ),
    "user error": (ended(2), "UserError", "InvalidInput", False),
    "defect": (ended(3), "Internal", "InternalError", False),
    "diverged": (ended(4), "Diverged", "LossDiverged", False),
    "disk full": (ended(5), "DiskFull", "VolumeFull", False),
    "any other program": (ended(1), "Internal", "ContainerFailed", False),
    "lost peers": (ended(138), "Network", "WorkerLostPeers", True),
    "told to stop": (ended(143), "Preempted", "WorkerPreempted", True),
    "out of memory": (ended(137, "OOMKilled"), "OutOfMemory", "OutOfMemory", True),
    "killed": (ended(137), "Internal", "ContainerKilled", True),
    "evicted": (ended(137, "Evicted", disrupted=True), "Preempted", "PodEvicted", True),
    "no such command": (ended(128, "StartError"), "Image", "ContainerCannotRun", True),
    "an exit code beyond any": (ended(-1), "Internal", "ContainerFailed", False),
}


@pytest.mark.parametrize(("ending", "category", "reason", "retryable"), ENDINGS.values(), ids=ENDINGS.keys())
def test_ending(ending: Termination, category: str, reason: str, retryable: bool) -> None:
    failure = explain(ending)
    assert (failure.category, failure.reason, failure.retryable) == (category, reason, retryable)
    assert failure.hint
    assert failure.pod == "p"


def test_the_end_of_the_log_is_kept_without_secrets() -> None:
    failure = explain(ended(3, message="x" * 5000 + "\nValueError: hf_abcdefghijklmn"))
    assert failure.log_tail is not None
    assert failure.log_tail.endswith("ValueError: [redacted]")
    assert len(failure.log_tail) <= 2048


def test_what_counts_as_preemption() -> None:
    assert is_preemption(ended(143))
    assert is_preemption(ended(1, disrupted=True))
    assert not is_preemption(ended(138))
