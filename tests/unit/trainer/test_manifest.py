"""Manifests and run configurations: what is read, and every problem named at once with its fix."""

import json
from pathlib import Path

import pytest

from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.manifest import load_manifest, load_run_config

MANIFEST = """\
apiVersion: llmfinetune.dev/v1alpha1
kind: LLMFineTune
metadata: {name: medical, namespace: ml, labels: {team: a}}
spec:
  model: {source: hf://owner/name}
  dataset: {source: data.json}
  method: {lora: {rank: 4}}
  training: {learningRate: 2e-4, batchSize: 8}
  runtime: {backend: torch, image: "registry/image:1", env: []}
  workers: {replicas: 2}
  storage: {size: 10Gi}
  runPolicy: {suspend: false}
status: {phase: Pending}
"""


def with_spec(old: str, new: str) -> str:
    assert old in MANIFEST
    return MANIFEST.replace(old, new)


def test_a_manifest_is_read_without_what_only_a_cluster_needs() -> None:
    config = load_manifest(MANIFEST)
    assert (config.name, config.namespace) == ("medical", "ml")
    assert config.method.lora.rank == 4
    assert config.training.learning_rate == 2e-4
    assert (config.runtime.backend, config.runtime.communication) == ("torch", "auto")


def test_the_one_fine_tune_among_other_documents_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(f"kind: Secret\n---\n{MANIFEST}---\n", encoding="utf-8")
    assert load_manifest(path).name == "medical"


def test_what_the_operator_writes_is_read_back(tmp_path: Path) -> None:
    config = load_manifest(MANIFEST)
    path = tmp_path / "run.json"
    path.write_text(config.model_dump_json(by_alias=True), encoding="utf-8")
    assert load_run_config(path) == config


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        pytest.param(
            with_spec("batchSize: 8", "bachSize: 8"),
            ["spec.training.bachSize: unknown field; did you mean batchSize?"],
            id="misspelt field",
        ),
        pytest.param(
            with_spec("workers:", "wrokers:"),
            ["spec.wrokers: unknown field; did you mean workers?"],
            id="misspelt section",
        ),
        pytest.param(
            with_spec("rank: 4", "batchsize: 1"),
            ["spec.method.lora.batchsize: unknown field; known are alpha, dropout, rank, targetModules"],
            id="unknown field without a near match",
        ),
        pytest.param(
            with_spec("batchSize: 8", "batchSize: 0, warmupRatio: .nan, epochs: -1, seed: ten"),
            [
                "4 problems",
                "spec.training.batchSize = 0: input should be greater than or equal to 1",
                "spec.training.warmupRatio = nan: input should be a finite number",
                "spec.training.epochs = -1: input should be greater than 0",
                "spec.training.seed = 'ten': input should be a valid integer",
            ],
            id="several at once",
        ),
        pytest.param(
            with_spec("batchSize: 8", 'batchSize: "8"'),
            ["spec.training.batchSize = '8': input should be a valid integer"],
            id="text for a number, which the API server refuses too",
        ),
        pytest.param(
            with_spec("batchSize: 8", "epochs: 1, maxSteps: 5"),
            ["spec.training: epochs and maxSteps exclude each other: remove one of them"],
            id="two lengths",
        ),
        pytest.param(
            with_spec("{source: data.json}", "{source: data.json, revision: v2}"),
            ["spec.dataset: only a Hugging Face repository has a revision: remove it, or name an hf://"],
            id="revision of a file",
        ),
        pytest.param(
            with_spec("{source: data.json}", "{source: data.json, validationSplit: 0.0}").replace(
                "method:", "evaluation: {everySteps: 5}\n  method:"
            ),
            ["spec: evaluation.everySteps has nothing to evaluate on", "remove everySteps or raise"],
            id="evaluations of nothing",
        ),
        pytest.param(
            with_spec("{lora: {rank: 4}}", "{lora: {}, full: {}}"),
            ["spec.method.full: unknown field; known are lora"],
            id="two methods",
        ),
        pytest.param(with_spec("{lora: {rank: 4}}", "{}"), ["spec.method.lora: required"], id="no method"),
        pytest.param(with_spec("name: medical, ", ""), ["metadata.name: required"], id="no name"),
        pytest.param(
            with_spec("hf://owner/name", "ftp://owner/name"),
            ["spec.model.source: source 'ftp://owner/name' has an unknown scheme 'ftp': use hf://owner/name"],
            id="unknown scheme",
        ),
        pytest.param(
            with_spec("v1alpha1", "v1"),
            ["apiVersion = 'llmfinetune.dev/v1': must be llmfinetune.dev/v1alpha1"],
            id="another version",
        ),
        pytest.param(
            with_spec("batchSize: 8}", "batchSize: 8, batchSize: 9}"),
            ["not valid YAML: duplicate key 'batchSize' in line 8"],
            id="duplicate key",
        ),
        pytest.param(
            with_spec("metadata: {", "metadata: {{"), ["is not valid YAML: line 4"], id="broken YAML"
        ),
        pytest.param(
            "kind: Pod\nmetadata: {}\n",
            ["no document (kinds there: Pod) of kind LLMFineTune"],
            id="another kind",
        ),
        pytest.param(f"{MANIFEST}---\n{MANIFEST}", ["has 2 documents of kind LLMFineTune"], id="two of them"),
    ],
)
def test_problems(text: str, messages: list[str]) -> None:
    with pytest.raises(RunError) as raised:
        load_manifest(text)
    assert raised.value.failure.category == "UserError"
    assert raised.value.failure.hint
    for message in messages:
        assert message in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot read .*absent\.yaml: No such file"):
        load_manifest(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda text: text.replace('"keep":2', '"keep":NaN'), "NaN is no number", id="NaN"),
        pytest.param(
            lambda text: text.replace('"keep":2', '"keep":2,"keep":3'), "duplicate key 'keep'", id="duplicate"
        ),
        pytest.param(
            lambda text: text.replace('"keep":2', '"keeps":2'),
            "checkpoint.keeps: unknown field; did you mean keep?",
            id="unknown field",
        ),
        pytest.param(lambda text: text[:-1], "is not valid JSON", id="cut"),
    ],
)
def test_bad_run_configurations(tmp_path: Path, change: object, message: str) -> None:
    assert callable(change)
    path = tmp_path / "run.json"
    text = json.dumps(load_manifest(MANIFEST).model_dump(by_alias=True), separators=(",", ":"))
    path.write_text(change(text), encoding="utf-8")
    with pytest.raises(RunError) as raised:
        load_run_config(path)
    assert message in str(raised.value)
    assert "spec.runtime.image" in raised.value.failure.hint


def test_a_long_list_of_problems_is_bounded_in_the_failure_and_whole_in_the_text() -> None:
    fields = ", ".join(f"unknown{number}: 1" for number in range(60))
    with pytest.raises(RunError) as raised:
        load_manifest(with_spec("batchSize: 8", fields))
    assert len(raised.value.failure.message) == 1024
    assert "unknown59" in str(raised.value)
