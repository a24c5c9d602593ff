"""Which changes of a spec make running workers start again."""

from typing import Any

import pytest

from llmfinetune_operator.api.v1alpha1 import LLMFineTuneSpec
from llmfinetune_operator.policies.restart import restart_hash
from tests.unit.operator.decide.world import spec

WORKERS = {"replicas": 2, "minReplicas": 1, "maxReplicas": 4}

CHANGES: dict[str, tuple[dict[str, Any], bool]] = {
    "nothing": ({}, False),
    "a default that is spelled out": ({"runPolicy": {"queueName": None, "maxRestarts": 10}}, False),
    "a group of defaults": ({"runtime": {}, "checkpoint": {}}, False),
    "a number of workers": ({"workers": WORKERS | {"replicas": 3}}, False),
    "patience with the scheduler": ({"workers": WORKERS | {"schedulingTimeout": "5m"}}, False),
    "a pause": ({"runPolicy": {"suspend": True}}, False),
    "metrics that are written": ({"evaluation": {"metrics": ["loss"]}}, True),
    "an image": ({"runtime": {"image": "trainer:2"}}, True),
    "a Secret to pull the image with": ({"runtime": {"imagePullSecrets": [{"name": "regcred"}]}}, True),
    "memory": ({"workers": WORKERS | {"resources": {"requests": {"memory": "3Gi"}}}}, True),
    "a least number of workers": ({"workers": WORKERS | {"minReplicas": 2}}, True),
    "a queue": ({"runPolicy": {"queueName": "team-a"}}, True),
    "a priority": ({"runPolicy": {"priorityClassName": "batch"}}, True),
}


@pytest.mark.parametrize(("change", "restarts"), CHANGES.values(), ids=CHANGES.keys())
def test_restart(change: dict[str, Any], restarts: bool) -> None:
    before, after = (LLMFineTuneSpec.model_validate(spec(**each)) for each in ({}, change))
    assert (restart_hash(before) != restart_hash(after)) is restarts
