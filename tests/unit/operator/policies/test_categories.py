"""The table of failures: complete, and the same for people as for the operator."""

from pathlib import Path
from typing import get_args

import pytest

from llmfinetune_operator.policies.categories import CATEGORIES, Again, Rule, is_free
from llmfinetune_trainer.config.messages import Category

OPERATIONS = Path(__file__).parents[4] / "docs/operations.md"


def row(category: str, rule: Rule) -> str:
    return f"| {category} | {rule.cause} | {rule.again.value} | {rule.way_out} |"


def test_every_category_has_a_rule() -> None:
    assert set(CATEGORIES) == set(get_args(Category))


@pytest.mark.parametrize("category", CATEGORIES)
def test_people_are_told_the_same(category: Category) -> None:
    lines = OPERATIONS.read_text(encoding="utf-8").splitlines()
    assert row(category, CATEGORIES[category]) in lines


def test_people_are_told_of_no_other() -> None:
    table = OPERATIONS.read_text(encoding="utf-8").split("| category |")[1].split("\n\n")[0]
    told = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert told == list(CATEGORIES)


def test_only_what_the_cluster_does_is_free() -> None:
    assert {each for each in CATEGORIES if is_free(each)} == {"Preempted", "Evicted", "NodeLost"}


def test_a_remedy_is_for_memory_alone() -> None:
    assert [each for each, rule in CATEGORIES.items() if rule.again is Again.REMEDY] == ["OutOfMemory"]
