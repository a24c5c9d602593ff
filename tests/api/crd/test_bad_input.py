"""Everything wrong is refused at apply time, by an error that names the field."""

from typing import Any, NamedTuple

import pytest

from tests.api.client import Client
from tests.api.crd.manifests import DIGEST, Remove, fine_tune, try_create


class Bad(NamedTuple):
    """One change to a valid spec, and what the error must say."""

    path: str
    value: Any
    says: str


SOURCES = "use hf://owner/name, pvc://claim/path"
HTTPS = "append #sha256="

CASES: dict[str, Bad] = {
    # what must be there
    "no model": Bad("model", Remove, "spec.model: Required value"),
    "no data set": Bad("dataset", Remove, "spec.dataset: Required value"),
    "no method": Bad("method", Remove, "spec.method: Required value"),
    "empty method": Bad("method", {}, "choose exactly one method"),
    "model without source": Bad("model", {}, "spec.model.source: Required value"),
    # unknown fields
    "misspelled field": Bad("training__learningrate", 0.1, 'unknown field "spec.training.learningrate"'),
    "two methods": Bad("method", {"lora": {}, "full": {}}, 'unknown field "spec.method.full"'),
    "an output that cannot be asked for": Bad(
        "output", {"quantize": "q4"}, 'unknown field "spec.output.quantize"'
    ),
    # sources
    "local path": Bad("model__source", "./models/base", SOURCES),
    "absolute local path": Bad("dataset__source", "/data/train.json", SOURCES),
    "file scheme": Bad("model__source", "file:///models/base", SOURCES),
    "plain http": Bad("model__source", "http://example.com/m.gguf", SOURCES),
    "claim without path": Bad("model__source", "pvc://claim", SOURCES),
    "ConfigMap without key": Bad("dataset__source", "configMap://name", SOURCES),
    "https without digest": Bad("model__source", "https://example.com/m.gguf", HTTPS),
    "https with another digest": Bad("model__source", "https://example.com/m.gguf#md5=00", HTTPS),
    "https with a short digest": Bad("model__source", f"https://example.com/m#sha256={DIGEST[:-1]}", HTTPS),
    "out of the volume": Bad("dataset__source", "pvc://claim/../other/data.json", "remove '..'"),
    "from the root of all files": Bad("dataset__source", "pvc://claim//etc/passwd", "remove the second '/'"),
    "an empty part on a claim": Bad("model__source", "pvc://claim/a//b", "remove the second '/'"),
    "an empty name of a repository": Bad("model__source", "hf://owner//file", "remove the second '/'"),
    "source too long": Bad("model__source", "hf://owner/" + "a" * 1024, "may not be more than 1024 bytes"),
    "empty source": Bad("model__source", "", "spec.model.source"),
    "empty revision": Bad("model__revision", "", "spec.model.revision"),
    "revision of a model on a volume": Bad(
        "model", {"source": "pvc://claim/model", "revision": "v2"}, "remove it, or name an hf:// source"
    ),
    "revision of data in a ConfigMap": Bad(
        "dataset", {"source": "configMap://a/b", "revision": "v2"}, "remove it, or name an hf:// source"
    ),
    "unknown quantization": Bad("model__quantization", "int4", '"int8", "nf4"'),
    "secret name with a capital": Bad(
        "model__tokenSecretRef", {"name": "Token"}, "spec.model.tokenSecretRef.name"
    ),
    "secret without name": Bad("model__tokenSecretRef", {}, "spec.model.tokenSecretRef.name: Required value"),
    "secret key with a slash": Bad(
        "model__tokenSecretRef", {"name": "a", "key": "../token"}, "spec.model.tokenSecretRef.key"
    ),
    # data
    "unknown format": Bad("dataset__format", "parquet", 'supported values: "auto", "alpaca"'),
    "unknown template": Bad("dataset__template", "vicuna", "spec.dataset.template: Unsupported value"),
    "empty column": Bad("dataset__columns", {"output": ""}, "spec.dataset.columns.output"),
    "all rows held out": Bad("dataset__validationSplit", 1.0, "less than or equal to 0.5"),
    "negative split": Bad("dataset__validationSplit", -0.1, "greater than or equal to 0"),
    # method
    "rank zero": Bad("method__lora", {"rank": 0}, "spec.method.lora.rank"),
    "absurd rank": Bad("method__lora", {"rank": 2**31}, "less than or equal to 1024"),
    "rank as text": Bad("method__lora", {"rank": "8"}, "must be of type integer"),
    "fractional rank": Bad("method__lora", {"rank": 8.5}, "must be of type integer"),
    "alpha zero": Bad("method__lora", {"alpha": 0}, "should be greater than 0"),
    "dropout one": Bad("method__lora", {"dropout": 1}, "should be less than 1"),
    "no target": Bad("method__lora", {"targetModules": []}, "spec.method.lora.targetModules"),
    "target with shell characters": Bad(
        "method__lora", {"targetModules": ["q_proj; rm -rf"]}, "spec.method.lora.targetModules[0]"
    ),
    "65 targets": Bad("method__lora", {"targetModules": ["a"] * 65}, "must have at most 64 items"),
    # resuming
    "no origin": Bad("resumeFrom", {}, "give exactly one of them"),
    "two origins": Bad("resumeFrom", {"fineTune": "a", "source": "pvc://a/b"}, "give exactly one of them"),
    "itself": Bad("resumeFrom", {"fineTune": "sample"}, "this fine-tune itself"),
    "fine-tune with a capital": Bad("resumeFrom", {"fineTune": "Other"}, "spec.resumeFrom.fineTune"),
    "origin on a hub": Bad("resumeFrom", {"source": "hf://owner/adapter"}, "use pvc://claim/path"),
    "origin out of its volume": Bad("resumeFrom", {"source": "pvc://a/../b"}, "remove '..'"),
    "origin from the root of all files": Bad("resumeFrom", {"source": "pvc://a//b"}, "remove the second '/'"),
    "unknown way to resume": Bad("resumeFrom", {"fineTune": "a", "mode": "merge"}, "resumeFrom.mode"),
    # training
    "zero epochs": Bad("training__epochs", 0, "spec.training.epochs"),
    "negative epochs": Bad("training__epochs", -1, "spec.training.epochs"),
    "absurd epochs": Bad("training__epochs", 1e300, "spec.training.epochs"),
    "zero steps": Bad("training__maxSteps", 0, "spec.training.maxSteps"),
    "epochs and steps": Bad(
        "training", {"epochs": 1, "maxSteps": 5}, "epochs and maxSteps exclude each other"
    ),
    "learning rate zero": Bad("training__learningRate", 0, "should be greater than 0"),
    "negative learning rate": Bad("training__learningRate", -0.1, "should be greater than 0"),
    "absurd learning rate": Bad("training__learningRate", 2, "less than or equal to 1"),
    "learning rate as text": Bad("training__learningRate", "2e-4", "must be of type number"),
    "NaN as text": Bad("training__learningRate", "NaN", "must be of type number"),
    "negative weight decay": Bad("training__weightDecay", -1, "spec.training.weightDecay"),
    "unknown schedule": Bad("training__schedule", "exponential", '"cosine", "linear", "constant"'),
    "all steps are warm-up": Bad("training__warmupRatio", 0.9, "spec.training.warmupRatio"),
    "empty batch": Bad("training__batchSize", 0, "spec.training.batchSize"),
    "absurd batch": Bad("training__batchSize", 2**31, "spec.training.batchSize"),
    "sequences of nothing": Bad("training__maxSequenceLength", 0, "spec.training.maxSequenceLength"),
    "absurd sequences": Bad("training__maxSequenceLength", 2**31, "spec.training.maxSequenceLength"),
    "packing as text": Bad("training__packing", "yes", "must be of type boolean"),
    "unknown precision": Bad("training__precision", "fp8", '"auto", "bf16", "fp32"'),
    "negative clipping": Bad("training__gradientClip", -1, "spec.training.gradientClip"),
    "negative seed": Bad("training__seed", -1, "spec.training.seed"),
    # evaluation and checkpoints
    "evaluation every zero steps": Bad("evaluation__everySteps", 0, "spec.evaluation.everySteps"),
    "unknown metric": Bad("evaluation__metrics", ["bleu"], "spec.evaluation.metrics[0]: Unsupported value"),
    "no metric": Bad("evaluation__metrics", [], "spec.evaluation.metrics"),
    "checkpoint every minus one steps": Bad("checkpoint__everySteps", -1, "spec.checkpoint.everySteps"),
    "checkpoint every minus one seconds": Bad("checkpoint__everySeconds", -1, "spec.checkpoint.everySeconds"),
    "no checkpoint kept": Bad("checkpoint__keep", 0, "spec.checkpoint.keep"),
    # workers
    "no worker": Bad("workers__replicas", 0, "spec.workers.replicas"),
    "negative workers": Bad("workers__replicas", -1, "spec.workers.replicas"),
    "absurd workers": Bad("workers__replicas", 2**31, "less than or equal to 999"),
    "fewer than the minimum": Bad(
        "workers", {"replicas": 1, "minReplicas": 2}, "lower minReplicas or raise replicas"
    ),
    "more than the maximum": Bad(
        "workers", {"replicas": 3, "maxReplicas": 2}, "raise maxReplicas or lower replicas"
    ),
    "minimum above maximum": Bad(
        "workers", {"replicas": 2, "minReplicas": 3, "maxReplicas": 2}, "lower minReplicas"
    ),
    "more workers than samples in a batch": Bad("workers__replicas", 65, "raise batchSize or lower replicas"),
    "queue with a capital": Bad("runPolicy__queueName", "Team", "spec.runPolicy.queueName"),
    "queue whose name no label can hold": Bad(
        "runPolicy__queueName", "q" * 64, "spec.runPolicy.queueName: Too long"
    ),
    "no patience with the scheduler": Bad("workers__schedulingTimeout", "9s", "must be from 10s to 24h"),
    "too much patience with the scheduler": Bad(
        "workers__schedulingTimeout", "24h1s", "must be from 10s to 24h"
    ),
    "node selector with a bad key": Bad("workers__nodeSelector", {"a": "b c"}, "spec.workers.nodeSelector.a"),
    "node selector with a bad label": Bad("workers__nodeSelector", {"a b": "c"}, "a key is no label"),
    "unknown effect": Bad(
        "workers__tolerations", [{"effect": "Never"}], "spec.workers.tolerations[0].effect"
    ),
    # quantities
    "quantity with a space": Bad("workers__resources", {"requests": {"memory": "1Gi "}}, "requests.memory"),
    "quantity without number": Bad("workers__resources", {"requests": {"memory": "Gi"}}, "requests.memory"),
    "unknown suffix": Bad("workers__resources", {"requests": {"memory": "4GB"}}, "requests.memory"),
    "memory zero": Bad("workers__resources", {"requests": {"memory": "0Gi"}}, "must be more than zero"),
    "cpu zero": Bad("workers__resources", {"requests": {"cpu": 0}}, "must be more than zero"),
    "negative cpu": Bad("workers__resources", {"limits": {"cpu": -1}}, "must be more than zero"),
    "cpu as a word": Bad("workers__resources", {"limits": {"cpu": "two"}}, "limits.cpu"),
    "fractional number for cpu": Bad("workers__resources", {"limits": {"cpu": 0.5}}, "limits.cpu"),
    "request above limit": Bad(
        "workers__resources",
        {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}},
        "resources.requests.cpu is more than resources.limits.cpu",
    ),
    "memory request above limit": Bad(
        "workers__resources",
        {"requests": {"memory": "4Gi"}, "limits": {"memory": "4000M"}},
        "resources.requests.memory is more than resources.limits.memory",
    ),
    "memory of no machine": Bad(
        "workers__resources", {"limits": {"memory": f"{'9' * 20}Pi"}}, "at most 1Pi: lower it"
    ),
    "memory of no machine as a number": Bad(
        "workers__resources", {"limits": {"memory": 2**60}}, "at most 1Pi: lower it"
    ),
    "more processors than any machine has": Bad(
        "workers__resources", {"limits": {"cpu": 4097}}, "at most 4096 processor cores: lower it"
    ),
    "unknown resource": Bad("workers__resources", {"limits": {"gpu": 1}}, "unknown field"),
    # runtime
    "unknown device": Bad("runtime__device", "gpu", '"auto", "cuda", "xpu", "cpu"'),
    "unknown backend": Bad("runtime__backend", "cuda", '"auto", "ipex", "torch"'),
    "unknown communication": Bad("runtime__communication", "nccl", '"auto", "ccl", "gloo"'),
    "micro-batch of a few tokens": Bad("runtime__microBatchTokens", 63, "spec.runtime.microBatchTokens"),
    "micro-batch without an end": Bad("runtime__microBatchTokens", 2**20 + 1, "runtime.microBatchTokens"),
    "image with a space": Bad("runtime__image", "trainer: v1", "spec.runtime.image"),
    "Secret to pull with without a name": Bad(
        "runtime__imagePullSecrets", [{}], "spec.runtime.imagePullSecrets[0].name: Required value"
    ),
    "Secret to pull with with a capital": Bad(
        "runtime__imagePullSecrets", [{"name": "Reg"}], "spec.runtime.imagePullSecrets[0].name"
    ),
    "the same Secret to pull with twice": Bad(
        "runtime__imagePullSecrets", [{"name": "a"}, {"name": "a"}], "Duplicate value"
    ),
    "nine Secrets to pull with": Bad(
        "runtime__imagePullSecrets", [{"name": f"a{i}"} for i in range(9)], "must have at most 8 items"
    ),
    "variable with a dash": Bad("runtime__env", [{"name": "A-B"}], "spec.runtime.env[0].name"),
    "variable of the progress contract": Bad(
        "runtime__env", [{"name": "KUBEFLOW_TRAINER_SERVER_URL"}], "reserved"
    ),
    "variable of torchrun": Bad("runtime__env", [{"name": "PET_NNODES"}], "reserved"),
    "variable of this product": Bad("runtime__env", [{"name": "LLMFINETUNE_ATTEMPT"}], "reserved"),
    "a rank": Bad("runtime__env", [{"name": "RANK"}], "reserved"),
    "a token in plain text": Bad("runtime__env", [{"name": "HF_TOKEN"}], "spec.model.tokenSecretRef"),
    "the same variable twice": Bad("runtime__env", [{"name": "A"}, {"name": "A"}], "Duplicate value"),
    "a variable by reference": Bad("runtime__env", [{"name": "A", "valueFrom": {}}], "unknown field"),
    # storage
    "no room": Bad("storage__size", "0", "must be more than zero"),
    "more room than any volume has": Bad("storage__size", "1025Ti", "at most 1Pi: lower it"),
    "size with two suffixes": Bad("storage__size", "10GiB", "spec.storage.size"),
    "existing claim with size": Bad(
        "storage", {"existingClaim": "a", "size": "1Gi"}, "existingClaim excludes size"
    ),
    "existing claim with class": Bad(
        "storage", {"existingClaim": "a", "storageClassName": "b"}, "existingClaim excludes"
    ),
    "existing claim with modes": Bad(
        "storage", {"existingClaim": "a", "accessModes": ["ReadWriteOnce"]}, "existingClaim excludes"
    ),
    "claim with a capital": Bad("storage__existingClaim", "Claim", "spec.storage.existingClaim"),
    "read-only volume": Bad("storage__accessModes", ["ReadOnlyMany"], "spec.storage.accessModes[0]"),
    "no access mode": Bad("storage__accessModes", [], "spec.storage.accessModes"),
    # run policy
    "negative restarts": Bad("runPolicy__maxRestarts", -1, "spec.runPolicy.maxRestarts"),
    "deadline as a number": Bad("runPolicy__activeDeadline", 3600, "must be of type string"),
    "deadline in days": Bad("runPolicy__activeDeadline", "1d", "spec.runPolicy.activeDeadline"),
    "deadline zero": Bad("runPolicy__activeDeadline", "0h", "must be more than zero"),
    "deadline of more than a year": Bad("runPolicy__activeDeadline", "8760h1s", "at most 8760h"),
    "deadline after the end of the calendar": Bad("runPolicy__activeDeadline", "99999999h", "at most 8760h"),
    "deadline that no clock can count": Bad("runPolicy__activeDeadline", f"{'9' * 31}h", "at most 8760h"),
    "empty deadline": Bad("runPolicy__activeDeadline", "", "spec.runPolicy.activeDeadline"),
    "time to live as a number": Bad("runPolicy__ttlAfterFinished", 3600, "must be of type string"),
    "time to live in days": Bad("runPolicy__ttlAfterFinished", "1d", "spec.runPolicy.ttlAfterFinished"),
    "time to live of nothing": Bad("runPolicy__ttlAfterFinished", "0s", "must be more than zero"),
    "time to live of more than a year": Bad("runPolicy__ttlAfterFinished", "8761h", "at most 8760h"),
    "suspend as text": Bad("runPolicy__suspend", "true", "must be of type boolean"),
    "bad priority class": Bad("runPolicy__priorityClassName", "High!", "spec.runPolicy.priorityClassName"),
}


@pytest.mark.api
@pytest.mark.parametrize("bad", CASES.values(), ids=CASES.keys())
def test_bad_spec_is_refused(client: Client, bad: Bad) -> None:
    answer = try_create(client, fine_tune(**{bad.path: bad.value}))

    assert answer.status in (400, 422), answer.body
    assert bad.says in answer.body["message"]


NAMES = {
    "53 characters": "a" * 53,
    "digit first": "1st",
    "dot": "a.b",
    "63 characters": "a" * 63,
}


@pytest.mark.api
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_name_that_pods_cannot_carry_is_refused(client: Client, name: str) -> None:
    answer = try_create(client, fine_tune(name))

    assert answer.status == 422
    assert "choose another name" in answer.body["message"]


def test_longest_name_leaves_room_for_the_last_worker() -> None:
    assert len("a" * 52 + "-worker-999") == 63


@pytest.mark.api
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_number_that_is_none_is_refused(client: Client, number: str) -> None:
    valid = '{"apiVersion":"llmfinetune.dev/v1alpha1","kind":"LLMFineTune","metadata":{"name":"a"},"spec":%s}'
    spec = (
        '{"model":{"source":"hf://o/m"},"dataset":{"source":"hf://o/d"},"method":{"lora":{}},"training":%s}'
    )

    answer = try_create(client, valid % spec % f'{{"learningRate":{number}}}')

    assert answer.status in (400, 422), answer.body


@pytest.mark.api
def test_more_than_an_object_may_hold_is_refused(client: Client) -> None:
    env = [{"name": f"A{i}", "value": "x" * 4097} for i in range(2)]

    answer = try_create(client, fine_tune(runtime__env=env))

    assert "may not be more than 4096 bytes" in answer.body["message"]


@pytest.mark.api
def test_a_volume_for_one_pod_takes_no_second_worker(client: Client) -> None:
    manifest = fine_tune(workers__replicas=2, storage__accessModes=["ReadWriteOncePod"])

    answer = try_create(client, manifest)

    assert "set replicas to 1" in answer.body["message"]


@pytest.mark.api
def test_evaluations_need_rows_that_are_held_out(client: Client) -> None:
    manifest = fine_tune(dataset__validationSplit=0, evaluation__everySteps=10)

    answer = try_create(client, manifest)

    assert "remove everySteps or raise validationSplit" in answer.body["message"]
