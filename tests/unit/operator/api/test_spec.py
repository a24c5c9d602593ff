"""The spec's own checks: what the API server refuses, the types refuse too, and derived values."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from llmfinetune_operator.api.durations import parse_duration
from llmfinetune_operator.api.v1alpha1 import LLMFineTuneSpec, StorageSpec, WorkersSpec, run_config
from llmfinetune_trainer.config.run import RunConfig

MINIMAL: dict[str, Any] = {
    "model": {"source": "hf://owner/model"},
    "dataset": {"source": "configMap://data/train.jsonl"},
    "method": {"lora": {}},
}
DIGEST = "0123456789abcdef" * 4

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"output": {"quantize": "q4"}}, "quantize"),
    "local path": ({"model": {"source": "./model"}}, "no source a cluster can reach"),
    "file scheme": ({"dataset": {"source": "file:///data"}}, "no source a cluster can reach"),
    "https without digest": ({"model": {"source": "https://a/b"}}, "append #sha256="),
    "out of the volume": ({"model": {"source": "pvc://a/../b"}}, "remove '..'"),
    "min above replicas": ({"workers": {"minReplicas": 2}}, "lower minReplicas or raise replicas"),
    "replicas above max": (
        {"workers": {"replicas": 3, "maxReplicas": 2}},
        "raise maxReplicas or lower replicas",
    ),
    "more workers than samples": ({"workers": {"replicas": 65}}, "raise batchSize or lower replicas"),
    "cpu above limit": (
        {"workers": {"resources": {"limits": {"cpu": "500m"}}}},
        "requests.cpu is more than resources.limits.cpu",
    ),
    "memory above limit": (
        {"workers": {"resources": {"limits": {"memory": "1Gi"}}}},
        "requests.memory is more than resources.limits.memory",
    ),
    "memory zero": ({"storage": {"size": "0Gi"}}, "more than zero"),
    "cpu true": ({"workers": {"resources": {"requests": {"cpu": True}}}}, "valid string"),
    "bad label": ({"workers": {"nodeSelector": {"a b": "c"}}}, "a key is no label"),
    "reserved variable": ({"runtime": {"env": [{"name": "PET_NNODES"}]}}, "PET_NNODES is reserved"),
    "token in plain text": ({"runtime": {"env": [{"name": "HF_TOKEN"}]}}, "tokenSecretRef"),
    "two volumes": ({"storage": {"existingClaim": "a", "size": "1Gi"}}, "existingClaim excludes"),
    "no patience": ({"workers": {"schedulingTimeout": "9s"}}, "from 10s to 24h"),
    "too much patience": ({"workers": {"schedulingTimeout": "25h"}}, "from 10s to 24h"),
    "queue with a capital": ({"runPolicy": {"queueName": "Team"}}, "queueName"),
    "a volume for one pod and two workers": (
        {"workers": {"replicas": 2}, "storage": {"accessModes": ["ReadWriteOncePod"]}},
        "set replicas to 1",
    ),
    "deadline zero": ({"runPolicy": {"activeDeadline": "0h"}}, "more than zero"),
    "deadline after the end of the calendar": (
        {"runPolicy": {"activeDeadline": "99999999h"}},
        "at most 8760h",
    ),
    "deadline that no clock can count": ({"runPolicy": {"activeDeadline": f"{'9' * 31}h"}}, "at most 8760h"),
    "time to live of more than a year": ({"runPolicy": {"ttlAfterFinished": "8760h1s"}}, "at most 8760h"),
    "patience that no clock can count": ({"workers": {"schedulingTimeout": f"{'9' * 31}h"}}, "at most 8760h"),
    "memory of no machine": (
        {"workers": {"resources": {"limits": {"memory": f"{'9' * 20}Pi"}}}},
        "at most 1Pi",
    ),
    "more processors than any machine has": (
        {"workers": {"resources": {"limits": {"cpu": 4097}}}},
        "at most 4096",
    ),
    "more room than any volume has": ({"storage": {"size": "1025Ti"}}, "at most 1Pi"),
    "revision of a model on a volume": (
        {"model": {"source": "pvc://a/b", "revision": "v2"}},
        "remove it, or name an hf:// source",
    ),
    "revision of data in a ConfigMap": (
        {"dataset": {"source": "configMap://a/b", "revision": "v2"}},
        "remove it, or name an hf:// source",
    ),
    "evaluations of nothing": (
        {
            "dataset": {"source": "hf://a/b", "validationSplit": 0.0},
            "evaluation": {"everySteps": 10},
        },
        "remove everySteps or raise validationSplit",
    ),
    "epochs and steps": ({"training": {"epochs": 1, "maxSteps": 1}}, "exclude each other"),
    "NaN": ({"training": {"learningRate": float("nan")}}, "finite number"),
}


@pytest.mark.parametrize(("change", "says"), BAD.values(), ids=BAD.keys())
def test_bad_spec_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        LLMFineTuneSpec.model_validate(MINIMAL | change)

    assert says in str(caught.value)


def test_run_config_holds_what_is_computed_and_nothing_else() -> None:
    spec = LLMFineTuneSpec.model_validate(
        MINIMAL
        | {
            "training": {"seed": 7},
            "workers": {"replicas": 2},
            "runtime": {"backend": "torch", "image": "trainer:v1", "env": [{"name": "A", "value": "1"}]},
        }
    )

    config = run_config("medical", "ml", spec)

    assert config == RunConfig.model_validate(
        MINIMAL
        | {"name": "medical", "namespace": "ml", "training": {"seed": 7}, "runtime": {"backend": "torch"}}
    )


def test_run_config_survives_the_way_to_the_trainer() -> None:
    config = run_config("medical", "ml", LLMFineTuneSpec.model_validate(MINIMAL))

    read = RunConfig.model_validate_json(config.model_dump_json(by_alias=True), strict=True)

    assert read.model_dump() == config.model_dump()


@pytest.mark.parametrize(
    "change", [{"workers": {"replicas": 2}}, {"storage": {"size": "1Gi"}}, {"runPolicy": {}}]
)
def test_run_config_depends_on_nothing_but_the_computation(change: dict[str, Any]) -> None:
    plain = LLMFineTuneSpec.model_validate(MINIMAL)

    changed = LLMFineTuneSpec.model_validate(MINIMAL | change)

    assert run_config("a", "b", changed) == run_config("a", "b", plain)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("30s", timedelta(seconds=30)),
        ("1h2m3s", timedelta(hours=1, minutes=2, seconds=3)),
        ("8760h", timedelta(days=365)),
    ],
)
def test_durations(text: str, span: timedelta) -> None:
    spec = LLMFineTuneSpec.model_validate(MINIMAL | {"runPolicy": {"activeDeadline": text}})

    assert spec.run_policy.active_deadline_span == span


def test_no_deadline_without_one() -> None:
    assert LLMFineTuneSpec.model_validate(MINIMAL).run_policy.active_deadline_span is None


def test_other_durations_are_refused() -> None:
    with pytest.raises(ValueError, match="another form"):
        parse_duration("1 day")


@pytest.mark.parametrize(("workers", "limit"), [({}, 999), ({"maxReplicas": 4}, 4)])
def test_scale_limit(workers: dict[str, Any], limit: int) -> None:
    assert WorkersSpec.model_validate(workers).scale_limit == limit


def test_volume_has_a_size_and_modes_of_its_own() -> None:
    storage = StorageSpec()

    assert (storage.claim_size, storage.claim_access_modes) == ("10Gi", ["ReadWriteOnce"])


def test_volume_takes_what_is_asked_for() -> None:
    storage = StorageSpec.model_validate({"size": "1Gi", "accessModes": ["ReadWriteMany"]})

    assert (storage.claim_size, storage.claim_access_modes) == ("1Gi", ["ReadWriteMany"])


@pytest.mark.parametrize(
    "resources",
    [
        {"requests": {"cpu": "1500m"}, "limits": {"cpu": "1.5"}},
        {"requests": {"memory": "1Gi"}, "limits": {"memory": 2**30}},
        {"requests": {"memory": "1500M"}, "limits": {"memory": "1.5Gi"}},
    ],
)
def test_request_may_be_as_much_as_the_limit(resources: dict[str, Any]) -> None:
    LLMFineTuneSpec.model_validate(MINIMAL | {"workers": {"resources": resources}})
