"""Writes the demonstration's data set: questions and answers about LLMFineTune, made from its own schema.

    python examples/api-questions/generate.py [--output train.jsonl]

Every row is a fact that the schema states about a field that users set: what it means, its default, its
values and bounds. Each fact is asked for in several ways, so that what is held out can be answered from what
was learnt. JSON Lines in the Alpaca format; the same schema always gives the same bytes.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from llmfinetune_operator.api.crd import PRINTER_COLUMNS, resource_schema
from llmfinetune_operator.api.reference import FieldFacts, fields

Pair = tuple[str, str]
Facts = Callable[[FieldFacts], Iterator[Pair]]


def meaning(field: FieldFacts) -> Iterator[Pair]:
    """What the field is about, asked in two or three ways."""
    path, text = field.path, first_sentence(field.schema["description"])
    yield f"What does {path} set?", f"{path} sets this: {text}"
    yield f"What is {path} for?", f"{path}: {text}"
    parent, _, name = path.rpartition(".")
    yield f"Explain the field {name} of {parent}.", f"The field {name} of {parent} means: {text}"


def default(field: FieldFacts) -> Iterator[Pair]:
    """Which value is taken where none is given."""
    path = field.path
    if field.is_required:
        answer = f"{path} has no default: it must be set."
    elif "default" not in field.schema:
        answer = f"{path} has no default: it may be left out."
    else:
        answer = f"The default of {path} is {written(field.schema['default'])}."
    yield f"What is the default of {path}?", answer
    yield f"Which value has {path} if I leave it out?", answer


def values(field: FieldFacts) -> Iterator[Pair]:
    """Which words the field takes."""
    choices = field.schema.get("enum")
    if choices:
        answer = f"{field.path} may be {listed(choices)}."
        yield f"Which values may {field.path} take?", answer
        yield f"Name the choices for {field.path}.", answer


def bounds(field: FieldFacts) -> Iterator[Pair]:
    """How small and how large the field may be."""
    schema, path = field.schema, field.path
    if "minimum" in schema:
        relation = "more than" if schema.get("exclusiveMinimum") else "at least"
        yield f"How small may {path} be?", f"{path} must be {relation} {schema['minimum']}."
    if "maximum" in schema:
        relation = "less than" if schema.get("exclusiveMaximum") else "at most"
        yield f"How large may {path} be?", f"{path} must be {relation} {schema['maximum']}."


def columns() -> Iterator[Pair]:
    """What `kubectl get` shows."""
    for name, _, path, priority, description in PRINTER_COLUMNS:
        where = "kubectl get llmfinetunes -o wide" if priority else "kubectl get llmfinetunes"
        answer = f"The column {name.upper()} shows {path.removeprefix('.')}: {description}."
        yield f"What does the column {name.upper()} of {where} show?", answer


def first_sentence(text: str) -> str:
    """Return what a description says first: short enough to be learnt by heart."""
    return text.split(". ")[0].removesuffix(".") + "."


def is_leaf(field: FieldFacts) -> bool:
    """Whether the field holds a value rather than other fields."""
    return "properties" not in field.schema


def written(value: object) -> str:
    """Return a value as a manifest writes it."""
    return value if isinstance(value, str) and value else json.dumps(value)


def listed(choices: list[str], *, last: str = "or") -> str:
    """Return `a, b or c`."""
    return f"{', '.join(choices[:-1])} {last} {choices[-1]}"


FACTS: tuple[Facts, ...] = (meaning, default, values, bounds)


def pairs() -> list[Pair]:
    """Return all questions with their answers, in an order that mixes fields and kinds of facts."""
    spec = resource_schema()["properties"]["spec"]
    leaves = [field for field in fields(spec, "spec") if is_leaf(field)]
    found = [pair for field in leaves for kind in FACTS for pair in kind(field)]
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
