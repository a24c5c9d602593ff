"""Writes the demonstration's data set: questions and answers about LLMFineTune, made from its own schema.

    python examples/api-questions/generate.py [--output train.jsonl]

Every row is a fact that the schema states: what a field means, its default, its values and bounds, what a
change of it does. JSON Lines in the Alpaca format; the same schema always gives the same bytes.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from llmfinetune_operator.api.changes import MEANINGS, change_class
from llmfinetune_operator.api.crd import PRINTER_COLUMNS, resource_schema
from llmfinetune_operator.api.reference import FieldFacts, fields, type_name

Pair = tuple[str, str]
Facts = Callable[[FieldFacts], Iterator[Pair]]


def meaning(field: FieldFacts) -> Iterator[Pair]:
    """What the field is about, asked in two or three ways."""
    path, text = field.path, field.schema["description"]
    verb = "set" if is_spec(field) else "say"
    yield f"What does {path} {verb}?", f"{path} {verb}s this: {text}"
    yield f"What is {path} for?", f"{path}: {text}"
    if is_spec(field) and is_leaf(field):
        parent, _, name = path.rpartition(".")
        yield f"Explain the field {name} of {parent}.", f"The field {name} of {parent} means: {text}"


def default(field: FieldFacts) -> Iterator[Pair]:
    """Which value is taken where none is given."""
    if not (is_spec(field) and is_leaf(field)):
        return
    path = field.path
    if field.is_required:
        yield f"What is the default of {path}?", f"{path} has no default: it must be set."
        return
    if "default" not in field.schema:
        yield f"What is the default of {path}?", f"{path} has no default: it may be left out."
        return
    value = written(field.schema["default"])
    yield f"What is the default of {path}?", f"The default of {path} is {value}."
    yield f"Which value has {path} if I leave it out?", f"Left out, {path} is {value}."


def values(field: FieldFacts) -> Iterator[Pair]:
    """Which words the field takes."""
    choices = field.schema.get("enum")
    if not choices:
        return
    verb = "may be" if is_spec(field) else "is"
    yield f"Which values may {field.path} take?", f"{field.path} {verb} {listed(choices)}."
    if is_spec(field):
        answer = f"The choices for {field.path} are {listed(choices, last='and')}."
        yield f"Name the choices for {field.path}.", answer


def bounds(field: FieldFacts) -> Iterator[Pair]:
    """How small and how large the field may be."""
    if not is_spec(field):
        return
    schema, path = field.schema, field.path
    if "minimum" in schema:
        relation = "more than" if schema.get("exclusiveMinimum") else "at least"
        yield f"How small may {path} be?", f"{path} must be {relation} {schema['minimum']}."
    if "maximum" in schema:
        relation = "less than" if schema.get("exclusiveMaximum") else "at most"
        yield f"How large may {path} be?", f"{path} must be {relation} {schema['maximum']}."
    if "maxItems" in schema:
        yield f"How many items may {path} have?", f"{path} has at most {schema['maxItems']} items."


def type_and_change(field: FieldFacts) -> Iterator[Pair]:
    """Which type the field has, and what a change does."""
    if not (is_spec(field) and is_leaf(field)):
        return
    path = field.path
    yield f"What type has {path}?", f"{path} is of type {type_name(field.schema)}."
    kind = change_class(path.removeprefix("spec.").replace("[]", ""))
    answer = f"{path} is {kind}: after the start, a change {MEANINGS[kind]}."
    yield f"What happens when I change {path} after the start?", answer


def columns() -> Iterator[Pair]:
    """What `kubectl get` shows."""
    for name, _, path, priority, description in PRINTER_COLUMNS:
        where = "kubectl get llmfinetunes -o wide" if priority else "kubectl get llmfinetunes"
        answer = f"The column {name.upper()} shows {path.removeprefix('.')}: {description}."
        yield f"What does the column {name.upper()} of {where} show?", answer


def is_spec(field: FieldFacts) -> bool:
    """Whether users set the field."""
    return field.path.startswith("spec.")


def is_leaf(field: FieldFacts) -> bool:
    """Whether the field holds a value rather than other fields."""
    return "properties" not in field.schema


def written(value: object) -> str:
    """Return a value as a manifest writes it."""
    return value if isinstance(value, str) and value else json.dumps(value)


def listed(choices: list[str], *, last: str = "or") -> str:
    """Return `a, b or c`."""
    return f"{', '.join(choices[:-1])} {last} {choices[-1]}"


FACTS: tuple[Facts, ...] = (meaning, default, values, bounds, type_and_change)


def pairs() -> list[Pair]:
    """Return all questions with their answers, in an order that mixes fields and kinds of facts."""
    schema = resource_schema()["properties"]
    facts = [field for part in ("spec", "status") for field in fields(schema[part], part)]
    found = [pair for field in facts for kind in FACTS for pair in kind(field)]
    return sorted([*found, *columns()], key=lambda pair: hashlib.sha256(pair[0].encode()).digest())


def json_lines() -> str:
    """Return the data set."""
    rows = ({"instruction": question, "input": "", "output": answer} for question, answer in pairs())
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main() -> None:
    """Write the data set to a file or to standard output."""
    parser = argparse.ArgumentParser(description="Generate the demonstration's data set.")
    parser.add_argument("--output", type=Path, help="file to write; standard output where it is left out")
    output = parser.parse_args().output
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json_lines(), encoding="utf-8")
    else:
        sys.stdout.write(json_lines())


if __name__ == "__main__":
    main()
