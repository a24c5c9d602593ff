"""No status is stored that has no bound, whoever writes it; and what is written comes back unchanged."""

from collections.abc import Iterator
from typing import Any

import pytest

from llmfinetune_operator.api.v1alpha1 import LLMFineTuneStatus
from tests.api.client import Client, Json
from tests.api.crd.manifests import DIGEST, PATH, change, create, fine_tune, set_status

pytestmark = pytest.mark.api

NAME = "reporting"
SHA = f"sha256:{DIGEST}"
CONDITION = {"status": "False", "reason": "Started", "lastTransitionTime": "2026-01-01T00:00:00Z"}
FULL: Json = {
    "observedGeneration": 1,
    "phase": "Training",
    "conditions": [{"type": "Ready", "message": "training", "observedGeneration": 1} | CONDITION],
    "attempt": 1,
    "startTime": "2026-01-01T00:00:00Z",
    "activeSeconds": 3600,
    "activeTime": "2026-01-01T01:00:00Z",
    "remedies": [
        {
            "category": "OutOfMemory",
            "attempt": 2,
            "time": "2026-01-01T00:00:00Z",
            "microBatchTokensBefore": 2048,
            "microBatchTokens": 1024,
        }
    ],
    "progress": {
        "percent": 42,
        "step": 210,
        "totalSteps": 500,
        "epoch": "1.26",
        "etaSeconds": 1260,
        "time": "2026-01-01T00:00:00Z",
    },
    "metrics": {"loss": "1.83", "evalLoss": "1.91", "learningRate": "1.4e-4", "tokensPerSecond": "352"},
    "history": [{"step": 200, "loss": "1.85"}],
    "dataset": {
        "rows": 5942,
        "validationRows": 0,
        "tokens": 908000,
        "supervisedTokens": 541000,
        "truncated": 3,
        "skipped": 0,
        "digest": SHA,
    },
    "estimate": {
        "memory": "1.60Gi",
        "memoryLimit": "4.00Gi",
        "microBatchTokens": 2048,
        "recompute": False,
        "workers": 1,
        "recommendedWorkers": 5,
        "secondsPerStep": "14.20",
        "totalSeconds": 3960,
    },
    "workers": {
        "desired": 2,
        "ready": 2,
        "selector": "llmfinetune.dev/name=reporting",
        "restarts": 1,
        "failures": 1,
        "lastRestartTime": "2026-01-01T00:00:00Z",
        "lastRestartReason": "OutOfMemory",
        "failuresInARow": 1,
        "checkpointAtFailure": 200,
        "nextStartTime": "2026-01-01T00:00:10Z",
        "restartsInPod": 1,
        "rescales": 1,
        "lastRescaleReason": "Scaled",
        "pods": [{"name": "reporting-worker-0", "uid": "a-b-c", "lost": False}],
    },
    "checkpoint": {
        "step": 200,
        "time": "2026-01-01T00:00:00Z",
        "path": "checkpoints/200",
        "sizeBytes": 5600000,
        "verified": True,
        "resumable": True,
    },
    "runtime": {
        "backend": "torch",
        "backendReason": "asked for",
        "device": "cpu",
        "communication": "gloo",
        "precision": "bf16",
        "isa": "avx512_bf16",
        "threads": 2,
        "engine": "general",
        "engineReason": "model type gpt2 is none of llama, mistral, qwen2, qwen3",
        "worldSize": 2,
        "microBatchTokens": 2048,
        "recompute": False,
    },
    "output": {"adapter": "pvc://reporting/output/adapter", "sha256": SHA, "baseRevision": "main"},
    "failure": {
        "category": "OutOfMemory",
        "reason": "OutOfMemory",
        "retryable": True,
        "message": "worker 1 was ended for using more than 4Gi",
        "hint": "raise spec.workers.resources.limits.memory",
        "pod": "reporting-worker-1",
        "exitCode": 137,
        "logTail": "Killed\n",
    },
}


@pytest.fixture
def stored(client: Client) -> Iterator[Json]:
    yield create(client, fine_tune(NAME))
    client.request("DELETE", f"{PATH}/{NAME}")


def test_status_comes_back_as_written(client: Client, stored: Json) -> None:
    status = set_status(client, NAME, **FULL)["status"]

    assert status == FULL
    typed = LLMFineTuneStatus.model_validate(status)
    assert typed.model_dump(by_alias=True, exclude_none=True) == FULL


def test_nothing_is_added_to_a_small_status(client: Client, stored: Json) -> None:
    workers = {"desired": 1, "ready": 0, "selector": "a=b"}

    assert set_status(client, NAME, phase="Pending", workers=workers)["status"] == {
        "phase": "Pending",
        "workers": workers,
    }


BAD: dict[str, tuple[Json, str]] = {
    "an estimate that is no number": (
        {"estimate": FULL["estimate"] | {"secondsPerStep": "soon"}},
        "status.estimate.secondsPerStep",
    ),
    "unknown phase": ({"phase": "Paused"}, "status.phase: Unsupported value"),
    "percent above 100": (
        {"progress": {"percent": 101, "step": 1, "totalSteps": 1}},
        "status.progress.percent",
    ),
    "negative step": ({"progress": {"percent": 1, "step": -1, "totalSteps": 1}}, "status.progress.step"),
    "NaN loss": ({"metrics": {"loss": "nan"}}, "status.metrics.loss"),
    "loss as a number": ({"metrics": {"loss": 1.5}}, "must be of type string"),
    "long curve": ({"history": [{"step": i, "loss": "1"} for i in range(21)]}, "must have at most 20 items"),
    "many conditions": (
        {"conditions": [{"type": f"C{chr(65 + i)}"} | CONDITION for i in range(17)]},
        "must have at most 16 items",
    ),
    "the same condition twice": ({"conditions": [{"type": "Ready"} | CONDITION] * 2}, "Duplicate value"),
    "undecided condition": (
        {"conditions": [{"type": "Ready"} | CONDITION | {"status": "Maybe"}]},
        "status.conditions[0].status: Unsupported value",
    ),
    "log without end": (
        {"failure": FULL["failure"] | {"logTail": "x" * 2049}},
        "may not be more than 2048 bytes",
    ),
    "a third remedy": ({"remedies": FULL["remedies"] * 3}, "must have at most 2 items"),
    "time that runs backwards": ({"activeSeconds": -1}, "status.activeSeconds"),
    "unknown category": ({"failure": FULL["failure"] | {"category": "Bad"}}, "status.failure.category"),
    "adapter without digest": ({"output": {"adapter": "pvc://a/b"}}, "status.output.sha256: Required value"),
    "unknown field": ({"percent": 5}, 'unknown field "status.percent"'),
}


@pytest.mark.parametrize(("status", "says"), BAD.values(), ids=BAD.keys())
def test_bad_status_is_refused(client: Client, stored: Json, status: dict[str, Any], says: str) -> None:
    answer = change(client, NAME, {"status": status}, subresource="/status")

    assert answer.status in (400, 422)
    assert says in answer.body["message"]
