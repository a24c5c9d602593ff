"""Every shipped manifest is valid, and the demonstration's data is what it should be."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from llmfinetune_operator.api.crd import resource_schema
from llmfinetune_operator.api.v1alpha1 import LLMFineTuneSpec
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.manifest import load_manifest

ROOT = Path(__file__).parents[4]
CLUSTER = sorted(
    [
        *ROOT.glob("deploy/samples/*.yaml"),
        *(ROOT / f"examples/{name}/finetune.yaml" for name in ("api-questions", "medical")),
    ]
)
LOCAL = ROOT / "examples/local/finetune.yaml"
COMPUTED = ("model", "dataset", "method", "training", "evaluation", "checkpoint", "resumeFrom", "runtime")
CONFIG_MAP_BYTES = 700_000


def manifest(path: Path) -> dict[str, Any]:
    (document,) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return dict(document)


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as JSON Schema: unknown fields are errors, and bounds are in today's words."""
    result = {key: value for key, value in schema.items() if not key.startswith("exclusive")}
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(exclusive):
            result[exclusive] = result.pop(bound)
    if "properties" in schema:
        result["properties"] = {name: strict(child) for name, child in schema["properties"].items()}
        result["additionalProperties"] = False
    if "items" in schema:
        result["items"] = strict(schema["items"])
    return result


@pytest.mark.parametrize("path", CLUSTER, ids=lambda path: str(path.relative_to(ROOT)))
def test_manifest_fits_types_and_schema(path: Path) -> None:
    document = manifest(path)

    LLMFineTuneSpec.model_validate(document["spec"])
    jsonschema.validate(document["spec"], strict(resource_schema()["properties"]["spec"]))
    assert (document["apiVersion"], document["kind"]) == ("llmfinetune.dev/v1alpha1", "LLMFineTune")


def test_complete_sample_names_every_group_of_fields() -> None:
    spec = manifest(ROOT / "deploy/samples/complete.yaml")["spec"]

    schema = resource_schema()["properties"]["spec"]["properties"]
    missing = [
        f"{group}.{name}"
        for group, fields in schema.items()
        if group != "resumeFrom"  # a sample of its own
        for name in fields["properties"]
        if name not in spec[group]
        and (group, name) not in {("training", "maxSteps"), ("storage", "existingClaim")}
    ]
    assert missing == []


@pytest.mark.parametrize("path", [*CLUSTER, LOCAL], ids=lambda path: str(path.relative_to(ROOT)))
def test_trainer_reads_the_same_manifest(path: Path) -> None:
    computed = {part: value for part, value in manifest(path)["spec"].items() if part in COMPUTED[:-1]}

    config = load_manifest(path)

    assert config == RunConfig.model_validate(
        {"name": config.name, "namespace": config.namespace, "runtime": config.runtime} | computed
    )


def test_local_manifest_is_a_run_configuration() -> None:
    spec = manifest(LOCAL)["spec"]

    assert set(spec) <= set(COMPUTED)
    RunConfig.model_validate({"name": "local"} | spec)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    location = ROOT / "examples/api-questions/generate.py"
    spec = importlib.util.spec_from_file_location("api_questions", location)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(generator: ModuleType) -> list[dict[str, str]]:
    return [json.loads(line) for line in generator.json_lines().splitlines()]


def test_data_is_several_hundred_different_questions(generator: ModuleType) -> None:
    questions = [row["instruction"] for row in rows(generator)]

    assert 300 <= len(questions) <= 1000
    assert len(set(questions)) == len(questions)


def test_data_fits_into_a_config_map(generator: ModuleType) -> None:
    assert len(generator.json_lines().encode()) < CONFIG_MAP_BYTES


def test_data_is_the_same_every_time(generator: ModuleType) -> None:
    assert generator.json_lines() == generator.json_lines()


def test_every_row_is_in_the_alpaca_format(generator: ModuleType) -> None:
    for row in rows(generator):
        assert list(row) == ["instruction", "input", "output"]
        assert row["instruction"].endswith(("?", "."))
        assert row["output"].endswith((".", "}`."))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (
            "What does spec.training.learningRate set?",
            "spec.training.learningRate sets this: Peak learning rate of AdamW.",
        ),
        ("What is the default of spec.checkpoint.keep?", "The default of spec.checkpoint.keep is 2."),
        (
            "Which values may spec.training.schedule take?",
            "spec.training.schedule may be cosine, linear or constant.",
        ),
        (
            "What does the column LOSS of kubectl get llmfinetunes show?",
            "The column LOSS shows status.metrics.loss: Training loss.",
        ),
        ("How small may spec.method.lora.alpha be?", "spec.method.lora.alpha must be more than 0."),
        ("What is the default of spec.model.source?", "spec.model.source has no default: it must be set."),
    ],
)
def test_answers_are_facts_of_the_schema(generator: ModuleType, question: str, answer: str) -> None:
    assert {row["instruction"]: row["output"] for row in rows(generator)}[question] == answer
