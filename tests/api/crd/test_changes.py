"""What may change after a fine-tune was made, and after it started."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.client import Client, Json, Kubectl
from tests.api.crd.manifests import PATH, change, create, fine_tune, set_status

pytestmark = pytest.mark.api

NAME = "changing"


@pytest.fixture
def stored(client: Client) -> Iterator[Json]:
    yield create(client, fine_tune(NAME, storage__size="1Gi"))
    client.request("DELETE", f"{PATH}/{NAME}")


IMMUTABLE: dict[str, tuple[str, Json]] = {
    "model": ("spec.model", {"model": {"source": "hf://owner/other"}}),
    "data set": ("spec.dataset", {"dataset": {"validationSplit": 0.1}}),
    "method": ("spec.method", {"method": {"lora": {"rank": 16}}}),
    "seed": ("spec.training", {"training": {"seed": 7}}),
    "epochs": ("spec.training", {"training": {"epochs": 1}}),
    "what to start from": ("spec.resumeFrom", {"resumeFrom": {"fineTune": "other"}}),
}


@pytest.mark.parametrize(("field", "patch"), IMMUTABLE.values(), ids=IMMUTABLE.keys())
@pytest.mark.parametrize("phase", [None, "Pending"])
def test_what_is_computed_may_change_before_the_start(
    client: Client, stored: Json, field: str, patch: Json, phase: str | None
) -> None:
    if phase:
        set_status(client, NAME, phase=phase)

    assert change(client, NAME, {"spec": patch}).status == 200


@pytest.mark.parametrize(("field", "patch"), IMMUTABLE.values(), ids=IMMUTABLE.keys())
@pytest.mark.parametrize("phase", ["Preparing", "Training", "Suspended", "Succeeded", "Failed"])
def test_what_is_computed_is_fixed_after_the_start(
    client: Client, stored: Json, field: str, patch: Json, phase: str
) -> None:
    set_status(client, NAME, phase=phase)

    answer = change(client, NAME, {"spec": patch})

    assert answer.status == 422
    assert f"{field} cannot change once the fine-tune has started" in answer.body["message"]
    assert "create a new LLMFineTune" in answer.body["message"]


def test_trouble_after_the_start_makes_nothing_changeable(client: Client, stored: Json) -> None:
    prepared = {"rows": 9, "tokens": 90, "supervisedTokens": 45, "digest": f"sha256:{'0' * 64}"}
    set_status(client, NAME, phase="Pending", dataset=prepared)

    answer = change(client, NAME, {"spec": {"training": {"seed": 7}}})

    assert answer.status == 422
    assert "spec.training cannot change once the fine-tune has started" in answer.body["message"]


STORAGE: dict[str, Json] = {
    "larger": {"size": "2Gi"},
    "no size": {"size": None},
    "another class": {"storageClassName": "fast"},
    "other modes": {"accessModes": ["ReadWriteMany"]},
    "another claim": {"size": None, "existingClaim": "other"},
}


@pytest.mark.parametrize("patch", STORAGE.values(), ids=STORAGE.keys())
def test_storage_is_fixed_from_the_beginning(client: Client, stored: Json, patch: Json) -> None:
    answer = change(client, NAME, {"spec": {"storage": patch}})

    assert answer.status == 422
    assert "cannot change: create a new LLMFineTune" in answer.body["message"]


LIVE: dict[str, Json] = {
    "replicas": {"workers": {"replicas": 2}},
    "bounds of replicas": {"workers": {"maxReplicas": 8}},
    "resources": {"workers": {"resources": {"requests": {"cpu": "2"}}}},
    "image": {"runtime": {"image": "example.com/trainer:v2"}},
    "micro-batch": {"runtime": {"microBatchTokens": 512}},
    "device": {"runtime": {"device": "cpu"}},
    "suspend": {"runPolicy": {"suspend": True}},
    "deadline": {"runPolicy": {"activeDeadline": "1h"}},
    "time to live": {"runPolicy": {"ttlAfterFinished": "24h"}},
    "retain": {"storage": {"retain": False}},
    "checkpoints": {"checkpoint": {"everySteps": 5}},
    "evaluation": {"evaluation": {"everySteps": 5}},
    "output": {"output": {"merge": True}},
}


@pytest.mark.parametrize("patch", LIVE.values(), ids=LIVE.keys())
def test_the_rest_may_change_while_training(client: Client, stored: Json, patch: Json) -> None:
    set_status(client, NAME, phase="Training")

    answer = change(client, NAME, {"spec": patch})

    assert answer.status == 200, answer.body
    assert answer.body["metadata"]["generation"] == stored["metadata"]["generation"] + 1


def test_labels_may_change_while_training(client: Client, stored: Json) -> None:
    set_status(client, NAME, phase="Training")

    assert change(client, NAME, {"metadata": {"labels": {"a": "b"}}}).status == 200


def test_kubectl_scale_changes_replicas_within_bounds(client: Client, kubectl: Kubectl, stored: Json) -> None:
    change(client, NAME, {"spec": {"workers": {"maxReplicas": 3}}})

    kubectl("scale", f"lft/{NAME}", "--replicas=3")
    refused = kubectl.run("scale", f"lft/{NAME}", "--replicas=4")

    assert kubectl("get", "lft", NAME, "-o", "jsonpath={.spec.workers.replicas}") == "3"
    assert refused.returncode != 0
    assert "raise maxReplicas or lower replicas" in refused.stderr


def test_scale_subresource_shows_workers_to_autoscalers(client: Client, stored: Json) -> None:
    selector = f"llmfinetune.dev/name={NAME}"
    set_status(client, NAME, workers={"desired": 1, "ready": 1, "selector": selector})

    scale = client.request("GET", f"{PATH}/{NAME}/scale").body

    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 1, "selector": selector}


def test_status_is_written_only_through_its_subresource(client: Client, stored: Json) -> None:
    answer = change(client, NAME, {"status": {"phase": "Succeeded"}})

    assert answer.status == 200
    assert "status" not in client.request("GET", f"{PATH}/{NAME}").body


def test_server_side_apply_twice_writes_once(client: Client, stored: Json) -> None:
    manifest = fine_tune(NAME, storage__size="1Gi", runtime__env=[{"name": "A", "value": "1"}])
    path = f"{PATH}/{NAME}?fieldManager=test&force=true"

    versions = [
        client.request("PATCH", path, manifest, content_type="application/apply-patch+yaml").body["metadata"][
            "resourceVersion"
        ]
        for _ in range(2)
    ]

    assert versions[0] == versions[1]


def condition(kind: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True",
        "reason": "Tested",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def test_two_managers_own_conditions_of_their_own(client: Client, stored: Json) -> None:
    base = {key: stored[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": NAME}}
    for manager, kind in (("one", "Ready"), ("two", "Audited")):
        client.request(
            "PATCH",
            f"{PATH}/{NAME}/status?fieldManager={manager}",
            base | {"status": {"conditions": [condition(kind)]}},
            content_type="application/apply-patch+yaml",
        )

    conditions = client.request("GET", f"{PATH}/{NAME}").body["status"]["conditions"]

    assert {each["type"] for each in conditions} == {"Ready", "Audited"}
