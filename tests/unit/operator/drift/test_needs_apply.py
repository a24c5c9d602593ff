"""A live object needs no write while it says what was desired, in whatever spelling."""

from typing import Any

import pytest

from llmfinetune_operator.drift import needs_apply
from llmfinetune_trainer.config.quantity import quantity

UNCHANGED: dict[str, tuple[Any, Any]] = {
    "defaults of the server": ({"a": 1}, {"a": 1, "b": 2}),
    "an empty list for an absent one": ({"a": []}, {}),
    "an empty map for an absent one": ({"a": {}}, {}),
    "nothing for an absent value": ({"a": None}, {}),
    "processors in thousandths": ({"cpu": "1000m"}, {"cpu": "1"}),
    "memory in another unit": ({"memory": "1024Mi"}, {"memory": "1Gi"}),
    "a number for a quantity": ({"cpu": 2}, {"cpu": "2"}),
    "an exponent": ({"memory": "1e3"}, {"memory": "1k"}),
    "defaults inside list items": ({"a": [{"n": 1}]}, {"a": [{"n": 1, "mode": 420}]}),
}
CHANGED: dict[str, tuple[Any, Any]] = {
    "an absent field": ({"a": 1}, {}),
    "another value": ({"a": "x"}, {"a": "y"}),
    "a longer list": ({"a": [1]}, {"a": [1, 2]}),
    "another order": ({"a": [1, 2]}, {"a": [2, 1]}),
    "a list that should be empty": ({"a": []}, {"a": [1]}),
    "a false that became true": ({"a": False}, {"a": True}),
    "a false that is absent": ({"a": False}, {}),
    "true is not one": ({"a": True}, {"a": 1}),
    "another quantity": ({"cpu": "1"}, {"cpu": "1500m"}),
    "a map that became text": ({"a": {"b": 1}}, {"a": "b"}),
}


@pytest.mark.parametrize(("desired", "live"), UNCHANGED.values(), ids=UNCHANGED.keys())
def test_no_write_is_needed_for(desired: Any, live: Any) -> None:
    assert not needs_apply(desired, live)


@pytest.mark.parametrize(("desired", "live"), CHANGED.values(), ids=CHANGED.keys())
def test_a_write_is_needed_for(desired: Any, live: Any) -> None:
    assert needs_apply(desired, live)


@pytest.mark.parametrize("text", ["", "abc", "1Xi", "1 Gi", None, [], "--1"])
def test_what_is_no_quantity(text: Any) -> None:
    assert quantity(text) is None
