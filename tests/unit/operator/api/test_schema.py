"""The conversion from pydantic models to structural schemas."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from llmfinetune_operator.api.schema import UnboundedError, UnknownKeywordError, structural_schema
from llmfinetune_trainer.config.base import Frozen


class Inner(Frozen):
    """Inner things."""

    size: int = Field(default=3, ge=0, lt=10)
    """How large
    it is."""


class Outer(Frozen):
    """Outer things."""

    name: str = Field(max_length=5)
    inner: Inner = Inner()
    kind: Literal["a", "b"] = "a"
    ratio: float = Field(default=2.0, gt=0.0, le=1e3)
    optional: Annotated[int, Field(ge=0, le=9)] | None = None
    switchable: Annotated[int, Field(ge=0, le=9)] | None = 5
    child: Inner | None = None
    labels: dict[str, Annotated[str, Field(max_length=3)]] = Field(default={}, max_length=2)


SIZE = {
    "description": "How large it is.",
    "type": "integer",
    "format": "int64",
    "minimum": 0,
    "maximum": 10,
    "exclusiveMaximum": True,
    "default": 3,
}
DIGIT = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 9}
INNER = {"description": "Inner things.", "type": "object", "properties": {"size": SIZE}}


def test_whole_schema() -> None:
    assert structural_schema(Outer) == {
        "description": "Outer things.",
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "maxLength": 5},
            "inner": INNER | {"default": {"size": 3}},
            "kind": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "ratio": {
                "type": "number",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 1000,
                "default": 2,
            },
            "optional": DIGIT,
            "switchable": DIGIT | {"default": 5, "nullable": True},
            "child": INNER,
            "labels": {
                "type": "object",
                "maxProperties": 2,
                "default": {},
                "additionalProperties": {"type": "string", "maxLength": 3},
            },
        },
    }


def test_status_has_no_defaults() -> None:
    schema = structural_schema(Outer, with_defaults=False)

    assert schema["properties"]["inner"] == INNER | {
        "properties": {"size": {key: value for key, value in SIZE.items() if key != "default"}}
    }
    assert "nullable" not in schema["properties"]["switchable"]


class LongText(Frozen):
    text: str


class LongList(Frozen):
    items: list[bool]


class LargeNumber(Frozen):
    number: int


class LargeMap(Frozen):
    labels: dict[str, bool]


@pytest.mark.parametrize(
    ("model", "path"),
    [(LongText, "text"), (LongList, "items"), (LargeNumber, "number"), (LargeMap, "labels")],
)
def test_what_has_no_bound_is_refused(model: type[Frozen], path: str) -> None:
    with pytest.raises(UnboundedError, match=f"{model.__name__}.{path}: needs"):
        structural_schema(model)


class KeyedByPattern(Frozen):
    labels: dict[Annotated[str, Field(pattern="^a$")], Any] = Field(max_length=3)


def test_what_would_be_lost_is_refused() -> None:
    with pytest.raises(UnknownKeywordError, match="labels: patternProperties"):
        structural_schema(KeyedByPattern)
