"""What the end of a container means."""

import pytest

from llmfinetune_operator.policies.categories import is_free
from llmfinetune_operator.policies.pods import Termination
from llmfinetune_operator.policies.termination import explain
from llmfinetune_trainer.config.messages import Failure, TerminationMessage
from tests.unit.operator.decide.world import failure_message


def ended(code: int, reason: str = "Error", message: str = "", *, disruption: str = "") -> Termination:
    return Termination(pod="p", exit_code=code, reason=reason, message=message, disruption=disruption)


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
    "out of memory while the node is drained": (
        ended(137, "OOMKilled", disruption="EvictionByEvictionAPI"),
        "OutOfMemory",
        "OutOfMemory",
        True,
    ),
    "killed": (ended(137), "Internal", "ContainerKilled", True),
    "ended while its runtime was away": (ended(255, "Unknown"), "NodeLost", "NodeRestarted", True),
    "ended while its kubelet was away": (
        ended(137, "ContainerStatusUnknown"),
        "NodeLost",
        "NodeRestarted",
        True,
    ),
    "no such command": (ended(128, "StartError"), "Image", "ContainerCannotRun", True),
    "an exit code beyond any": (ended(-1), "Internal", "ContainerFailed", False),
}
DISRUPTIONS = {
    "preempted by the scheduler": ("PreemptionByScheduler", "", "Preempted", "PodPreempted"),
    "preempted by the kubelet for a critical pod": ("Preempting", "", "Preempted", "PodPreempted"),
    "drained": ("EvictionByEvictionAPI", "", "Evicted", "PodEvicted"),
    "node short of memory": (
        "Evicted",
        "The node was low on resource: memory.",
        "Evicted",
        "NodeUnderPressure",
    ),
    "node short of disk": (
        "Evicted",
        "The node was low on resource: ephemeral-storage.",
        "Evicted",
        "NodeUnderPressure",
    ),
    "ended by the kubelet": ("TerminationByKubelet", "", "Evicted", "NodeUnderPressure"),
    "node shut down": (
        "Terminated",
        "Pod was terminated in response to imminent",
        "NodeLost",
        "NodeShutdown",
    ),
    "node shut down, as older kubelets say it": ("Shutdown", "", "NodeLost", "NodeShutdown"),
    "node does not answer": ("DeletionByTaintManager", "", "NodeLost", "NodeUnreachable"),
    "node is gone": ("DeletionByPodGC", "", "NodeLost", "NodeGone"),
    "node lost": ("NodeLost", "", "NodeLost", "NodeGone"),
    "no word of anybody": ("Unknown", "", "NodeLost", "PodLost"),
    "node had no room after all": ("OutOfcpu", "", "Scheduling", "NodeRefusedPod"),
}


@pytest.mark.parametrize(("ending", "category", "reason", "retryable"), ENDINGS.values(), ids=ENDINGS.keys())
def test_ending(ending: Termination, category: str, reason: str, retryable: bool) -> None:
    failure = explain(ending)
    assert (failure.category, failure.reason, failure.retryable) == (category, reason, retryable)
    assert failure.hint
    assert failure.pod == "p"


@pytest.mark.parametrize("code", [1, 137, 138, 143], ids="exit code {}".format)
@pytest.mark.parametrize(("word", "told", "category", "reason"), DISRUPTIONS.values(), ids=DISRUPTIONS.keys())
def test_a_pod_that_the_cluster_ended_is_nobodys_failure(
    word: str, told: str, category: str, reason: str, code: int
) -> None:
    failure = explain(Termination(pod="p", exit_code=code, reason="", message="", disruption=word, told=told))
    assert (failure.category, failure.reason, failure.retryable) == (category, reason, True)
    assert is_free(failure.category) or failure.category == "Scheduling"
    assert told in failure.message


def test_a_pod_that_filled_its_scratch_space_would_do_so_again() -> None:
    told = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."
    failure = explain(
        Termination(pod="p", exit_code=137, reason="", message="", disruption="Evicted", told=told)
    )
    assert (failure.category, is_free(failure.category)) == ("DiskFull", False)


def test_a_cause_that_stays_is_told_even_of_a_pod_that_is_evicted() -> None:
    message = failure_message("Diverged", "LossNotFinite")
    assert explain(ended(4, message=message, disruption="EvictionByEvictionAPI")).category == "Diverged"


def test_being_told_to_stop_by_a_drain_is_an_eviction() -> None:
    message = failure_message("Preempted", "Stopped", retryable=True)
    assert explain(ended(143, message=message, disruption="EvictionByEvictionAPI")).category == "Evicted"


def test_the_end_of_the_log_is_kept_without_secrets() -> None:
    failure = explain(ended(3, message="x" * 5000 + "\nValueError: hf_abcdefghijklmn"))
    assert failure.log_tail is not None
    assert failure.log_tail.endswith("ValueError: [redacted]")
    assert len(failure.log_tail) <= 2048


def test_the_launchers_log_tail_is_kept_without_secrets_too() -> None:
    told = Failure(category="Internal", reason="KeyError", retryable=False, message="m")
    message = TerminationMessage(attempt="a", failure=told, log_tail="Traceback\ntoken=abcdefghijkl")
    failure = explain(ended(3, message=message.model_dump_json(by_alias=True)))
    assert failure.log_tail == "Traceback\ntoken=[redacted]"
