"""What is right is taken, defaults are filled in, and null means what it says."""

from typing import Any

import pytest

from llmfinetune_operator.api.v1alpha1 import LLMFineTuneSpec
from tests.api.client import Client, Json
from tests.api.crd.manifests import DIGEST, fine_tune, try_create

pytestmark = pytest.mark.api


def accepted(client: Client, name: str = "sample", /, **changes: Any) -> Json:
    answer = try_create(client, fine_tune(name, **changes))
    assert answer.status == 201, answer.body
    spec: Json = answer.body["spec"]
    return spec


def test_defaults_are_those_of_the_types(client: Client) -> None:
    minimal = fine_tune()["spec"]

    stored = accepted(client)

    typed = LLMFineTuneSpec.model_validate(minimal).model_dump(by_alias=True, exclude_none=True)
    assert stored == typed


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"workers__replicas": 2}, "workers"),
        ({"workers__resources": {"limits": {"cpu": "4"}}}, "workers"),
        ({"training__seed": 7}, "training"),
        ({"storage__retain": False}, "storage"),
        ({"dataset__columns": {"output": "answer"}}, "dataset"),
        ({"runPolicy__suspend": True}, "runPolicy"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_defaults_fill_in_beside_what_is_given(client: Client, changes: Json, part: str) -> None:
    stored = accepted(client, **changes)

    typed = LLMFineTuneSpec.model_validate(fine_tune(**changes)["spec"])
    assert stored[part] == typed.model_dump(by_alias=True, exclude_none=True)[part]


@pytest.mark.parametrize(
    "source",
    [
        "hf://owner/name",
        "hf://gpt2",
        "hf://owner/name/sub/file.parquet",
        "pvc://claim/model.gguf",
        "pvc://claim.with.dots/a folder/model..gguf",
        f"https://example.com/a/../model.gguf?x=1#sha256={DIGEST}",
        "configMap://name/train.jsonl",
    ],
)
def test_sources_of_a_cluster_are_taken(client: Client, source: str) -> None:
    assert accepted(client, model__source=source)["model"]["source"] == source


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"model__revision": "v2"}, id="a revision of a repository"),
        pytest.param(
            {"model": {"source": "pvc://claim/model", "revision": "main"}}, id="the default, spelled out"
        ),
        pytest.param({"dataset__validationSplit": 0}, id="no rows held out and no evaluation asked for"),
        pytest.param({"evaluation__everySteps": 10}, id="evaluations of the rows held out by default"),
    ],
)
def test_what_goes_together_is_taken(client: Client, changes: Json) -> None:
    accepted(client, **changes)


@pytest.mark.parametrize("name", ["a", "a" * 52, "with-dash-1"])
def test_names_that_pods_can_carry_are_taken(client: Client, name: str) -> None:
    accepted(client, name)


@pytest.mark.parametrize("memory", ["4Gi", "1500M", "1.5Gi", "4294967296", 4294967296, "512Mi", "1Pi"])
def test_memory_is_taken_in_every_form(client: Client, memory: object) -> None:
    resources = {"requests": {"memory": "1M"}, "limits": {"memory": memory}}

    assert (
        accepted(client, workers__resources=resources)["workers"]["resources"]["limits"]["memory"] == memory
    )


@pytest.mark.parametrize("cpu", ["2", "0.5", "500m", 2, 4096])
def test_cpu_is_taken_in_every_form(client: Client, cpu: object) -> None:
    resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": cpu}}

    assert accepted(client, workers__resources=resources)["workers"]["resources"]["limits"]["cpu"] == cpu


@pytest.mark.parametrize("deadline", ["12h", "90m", "30s", "1h30m", "1h30m15s", "8760h", "525600m"])
def test_deadline_is_taken_in_every_form(client: Client, deadline: str) -> None:
    assert accepted(client, runPolicy__activeDeadline=deadline)["runPolicy"]["activeDeadline"] == deadline


def test_null_switches_off_what_has_a_default(client: Client) -> None:
    spec = accepted(
        client, training__gradientClip=None, checkpoint={"everySteps": None, "everySeconds": None}
    )

    assert spec["training"]["gradientClip"] is None
    assert spec["checkpoint"] == {"everySteps": None, "everySeconds": None, "keep": 2}


def test_null_elsewhere_means_left_out(client: Client) -> None:
    spec = accepted(
        client,
        runtime__image=None,
        storage={"storageClassName": None, "existingClaim": None, "size": "1Gi"},
        runPolicy__priorityClassName=None,
        training__seed=None,
    )

    assert spec["storage"] == {"size": "1Gi", "retain": True}
    assert "image" not in spec["runtime"]
    assert "priorityClassName" not in spec["runPolicy"]
    assert spec["training"]["seed"] == 42


def test_zero_switches_off_what_has_a_default(client: Client) -> None:
    spec = accepted(client, training__gradientClip=0, checkpoint={"everySteps": 0, "everySeconds": 0})

    typed = LLMFineTuneSpec.model_validate(spec)
    assert typed.training.gradient_clip is None
    assert (typed.checkpoint.every_steps, typed.checkpoint.every_seconds) == (None, None)


def test_stored_spec_is_read_back_as_the_same_value(client: Client) -> None:
    manifest = fine_tune(training__gradientClip=None, workers__replicas=3, storage__size="1Gi")

    stored = try_create(client, manifest).body["spec"]

    assert LLMFineTuneSpec.model_validate(stored) == LLMFineTuneSpec.model_validate(manifest["spec"])
