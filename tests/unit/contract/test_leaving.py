"""What the trainer needs to leave, Kubernetes gives it."""

from llmfinetune_operator.resources import pod
from llmfinetune_trainer.engine import stop


def test_a_blocked_worker_has_saved_and_left_before_its_pod_is_killed() -> None:
    assert stop.LEAVE_SECONDS <= 15 < pod.GRACE_SECONDS
    assert stop.GRACE_SECONDS <= stop.LEAVE_SECONDS / 2, "as much again is left to save in"
