"""What waits for something that only its warnings name, and how events of the operator's look."""

from datetime import UTC, datetime
from typing import Any

import pytest

from llmfinetune_operator.decision import EventToPost
from llmfinetune_operator.events import MAX_NOTE, event_object, pending
from llmfinetune_operator.store import ref_of
from tests.unit.operator.reconcile.objects import child, fine_tune, pod

NOW = datetime(2030, 1, 1, tzinfo=UTC)
POD_OF_JOB = pod(metadata={"ownerReferences": [{"uid": "j1"}]})
TWO = {"pytorchReplicaSpecs": {"Worker": {"replicas": 2}}}
ENDED = {"conditions": [{"type": "Complete", "status": "True"}]}


def job(**rest: Any) -> dict[str, Any]:
    return child("Job", api_version="batch/v1", name="medical-prepare", uid="j1", **({"spec": {}} | rest))


@pytest.mark.parametrize(
    ("obj", "pods", "waits"),
    [
        pytest.param(child("PersistentVolumeClaim"), (), True, id="a claim without a volume"),
        pytest.param(
            child("PersistentVolumeClaim", status={"phase": "Bound"}), (), False, id="a claim with a volume"
        ),
        pytest.param(job(), (), True, id="a job without pods"),
        pytest.param(job(status=ENDED), (), False, id="a job that has ended"),
        pytest.param(job(), (POD_OF_JOB,), False, id="a job with a pod"),
        pytest.param(job(spec=TWO), (POD_OF_JOB,), True, id="a job with one pod of two"),
        pytest.param(job(spec=TWO), (POD_OF_JOB,) * 2, False, id="a job with two pods of two"),
        pytest.param(child(), (), False, id="a ConfigMap"),
    ],
)
def test_what_waits(obj: dict[str, Any], pods: tuple[dict[str, Any], ...], waits: bool) -> None:
    assert (obj in pending({ref_of(obj): obj}, pods)) == waits


def test_the_same_about_the_same_state_is_one_event() -> None:
    said = EventToPost(type="Warning", reason="Failed", message="x" * 2000)
    first = event_object(said, fine_tune(), now=NOW, instance="a")
    assert first["metadata"] == event_object(said, fine_tune(), now=NOW, instance="b")["metadata"]
    assert first["metadata"] != event_object(said, fine_tune(version=2), now=NOW, instance="a")["metadata"]
    assert len(first["note"]) == MAX_NOTE
