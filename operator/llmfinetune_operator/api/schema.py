"""Turns a pydantic model into a structural schema, the dialect of OpenAPI in a CustomResourceDefinition.

References are resolved, `null` becomes a missing field (or `nullable`, where null differs from the default),
and whatever has no bound is refused. Defaults of objects are complete, because the API server judges them by
the object's rules before it fills in inner ones.
"""

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_KEPT = (
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
)
_CONVERTED = (
    *_KEPT,
    *("$defs", "$ref", "anyOf", "additionalProperties", "default", "description", "items", "properties"),
    *("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"),
)
_DROPPED = ("title", "propertyNames")
_BOUNDS = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}


class UnboundedError(ValueError):
    """A field without a bound: the cost of rules and the size of a stored object would have none either."""


def structural_schema(model: type[BaseModel], *, with_defaults: bool = True) -> Schema:
    """Return the structural schema of `model`.

    A status takes no defaults: the API server would add to what was written, and a writer that compares would
    write for ever.

    Raises:
        UnboundedError: a string, number, list or map has no bound.
        UnknownKeywordError: something is said that a structural schema cannot say.
    """
    source = model.model_json_schema(by_alias=True)
    return _Converter(source.get("$defs", {}), with_defaults=with_defaults).convert(source, model.__name__)


class UnknownKeywordError(ValueError):
    """A keyword that would be lost on the way."""


class _Converter:
    """Converts nodes of one JSON schema; `definitions` are what its references point at."""

    def __init__(self, definitions: dict[str, Schema], *, with_defaults: bool) -> None:
        self._definitions = definitions
        self._with_defaults = with_defaults

    def convert(self, node: Schema, path: str) -> Schema:
        """Return the structural form of one node; `path` names it in errors."""
        node, is_optional = self._without_null(self._resolved(node))
        _check_keywords(node, path)
        schema = self._description(node) | {key: node[key] for key in _KEPT if key in node}
        schema |= _limits(node) | _extensions(node)
        if self._with_defaults:
            schema |= _default(node, is_optional)
        if "properties" in node:
            schema["properties"] = {
                name: self.convert(child, f"{path}.{name}") for name, child in node["properties"].items()
            }
        if "items" in node:
            schema["items"] = self.convert(node["items"], f"{path}[]")
        if isinstance(node.get("additionalProperties"), dict):
            schema["additionalProperties"] = self.convert(node["additionalProperties"], f"{path}{{}}")
        _check_bounds(schema, path)
        return schema

    def _resolved(self, node: Schema) -> Schema:
        reference = node.get("$ref")
        if reference is None:
            return node
        target = self._definitions[reference.rsplit("/", 1)[-1]]
        return target | {key: value for key, value in node.items() if key != "$ref"}

    def _without_null(self, node: Schema) -> tuple[Schema, bool]:
        choices = [each for each in node.get("anyOf", []) if each.get("type") != "null"]
        if not choices:
            return node, False
        (choice,) = choices
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        return self._resolved(choice) | rest, True

    @staticmethod
    def _description(node: Schema) -> Schema:
        return {"description": " ".join(node["description"].split())} if "description" in node else {}


def _limits(node: Schema) -> Schema:
    limits: Schema = {"format": "int64"} if node.get("type") == "integer" else {}
    for bound, exclusive in _BOUNDS.items():
        if bound in node:
            limits[bound] = _tidy(node[bound])
        elif exclusive in node:
            limits |= {bound: _tidy(node[exclusive]), exclusive: True}
    return limits


def _default(node: Schema, is_optional: bool) -> Schema:
    if node.get("default") is None:
        return {}
    return {"default": _tidy(node["default"])} | ({"nullable": True} if is_optional else {})


def _extensions(node: Schema) -> Schema:
    return {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}


def _tidy(value: Any) -> Any:
    """Drop nulls, and write whole numbers as such."""
    match value:
        case dict():
            return {key: _tidy(each) for key, each in value.items() if each is not None}
        case list():
            return [_tidy(each) for each in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _check_keywords(node: Schema, path: str) -> None:
    known = (*_CONVERTED, *_DROPPED)
    unknown = [key for key in node if key not in known and not key.startswith("x-kubernetes-")]
    if unknown:
        raise UnknownKeywordError(f"{path}: {', '.join(unknown)} cannot be converted")


def _check_bounds(schema: Schema, path: str) -> None:
    needed = {
        "string": ("maxLength", "enum"),
        "integer": ("maximum",),
        "array": ("maxItems",),
        "object": ("properties", "maxProperties"),
    }.get(schema.get("type", ""), ())
    if needed and not any(key in schema for key in needed):
        raise UnboundedError(f"{path}: needs one of {', '.join(needed)}")
