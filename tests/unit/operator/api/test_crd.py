"""The generated files: current, complete, described, and no wider than what was agreed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmfinetune_operator.api.changes import change_class
from llmfinetune_operator.api.crd import CRD_FILE, REFERENCE_FILE, crd, main, resource_schema, stale_files
from llmfinetune_operator.api.reference import FieldFacts, fields, messages
from tests.unit.operator.api.frozen_fields import SPEC_FIELDS, STATUS_FIELDS

ROOT = Path(__file__).parents[4]


def all_fields(part: str) -> list[FieldFacts]:
    return list(fields(resource_schema()["properties"][part], part))


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    children = [*schema.get("properties", {}).values()]
    children += [schema[key] for key in ("items", "additionalProperties") if key in schema]
    for child in children:
        yield from nodes(child)


def test_generated_files_are_current() -> None:
    assert stale_files(ROOT) == []


def test_check_names_stale_files_and_generate_mends_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert f"{CRD_FILE} is stale: run `make generate`" in capsys.readouterr().err
    assert main(["--root", str(tmp_path)]) == 0
    assert main(["--check", "--root", str(tmp_path)]) == 0
    (tmp_path / REFERENCE_FILE).write_text("changed by hand")
    assert main(["--check", "--root", str(tmp_path)]) == 1


@pytest.mark.parametrize(("part", "agreed"), [("spec", SPEC_FIELDS), ("status", STATUS_FIELDS)])
def test_resource_has_the_agreed_fields_and_no_others(part: str, agreed: list[str]) -> None:
    assert [field.path for field in all_fields(part)] == agreed


@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_is_described(part: str) -> None:
    silent = [
        field.path for field in all_fields(part) if not field.schema.get("description", "").endswith(".")
    ]

    assert silent == []


def test_every_field_of_the_spec_has_a_class_of_change() -> None:
    for field in all_fields("spec"):
        if "properties" not in field.schema:
            change_class(field.path.removeprefix("spec.").replace("[]", ""))


def test_field_without_class_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"spec\.other has no class"):
        change_class("other")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("training.seed", "immutable"),
        ("workers.replicas", "live"),
        ("workers.resources.limits.cpu", "restart"),
        ("runPolicy.suspend", "live"),
        ("runPolicy.priorityClassName", "restart"),
        ("storage.retain", "live"),
    ],
)
def test_longest_path_decides_the_class(path: str, expected: str) -> None:
    assert change_class(path) == expected


def test_schema_is_structural() -> None:
    forbidden = {"$ref", "anyOf", "oneOf", "allOf", "not", "title", "uniqueItems"}

    assert [node for node in nodes(resource_schema()) if forbidden & node.keys()] == []


def test_status_has_no_defaults() -> None:
    assert [node for node in nodes(resource_schema()["properties"]["status"]) if "default" in node] == []


def test_rules_that_forbid_say_what_to_do() -> None:
    immutable = [message for message in messages(resource_schema()) if "cannot change" in message]

    assert len(immutable) == 9
    assert all("create a new LLMFineTune" in message for message in immutable)


def test_names_and_subresources() -> None:
    spec = crd()["spec"]
    (version,) = spec["versions"]

    assert spec["names"]["shortNames"] == ["lft"]
    assert spec["names"]["categories"] == ["finetune"]
    assert version["subresources"]["scale"]["specReplicasPath"] == ".spec.workers.replicas"
    assert "status" in version["subresources"]


@pytest.mark.parametrize("field", ["output.quantize", "method.full"])
def test_what_does_not_work_yet_is_not_there(field: str) -> None:
    assert f"spec.{field}" not in SPEC_FIELDS


def test_reference_names_every_field() -> None:
    text = (ROOT / REFERENCE_FILE).read_text(encoding="utf-8")

    missing = [
        field.path
        for part in ("spec", "status")
        for field in all_fields(part)
        if f"`{field.path}`" not in text
    ]
    assert missing == []


@pytest.mark.parametrize(
    "row",
    [
        "| `spec.training.learningRate` | number | `0.0002` | > 0, <= 1 | immutable | "
        "Peak learning rate of AdamW. |",
        '| `spec.workers.resources.requests.cpu` | quantity | `"1"` | at most 32 characters | restart | '
        "Processor cores, such as 2, 0.5 or 500m. |",
        "| `spec.model.source` | string | **required** |",
        "| `spec.workers.nodeSelector` | map of string | `{}` | at most 32 entries | restart |",
    ],
)
def test_reference_states_type_default_bounds_and_class(row: str) -> None:
    assert row in (ROOT / REFERENCE_FILE).read_text(encoding="utf-8")
