"""A claim that was enlarged by hand, for more room, is never asked to shrink."""

from typing import Any

import pytest

from llmfinetune_operator.constants import LABEL_MANAGED_BY
from tests.unit.operator.decide.world import CLAIM, World


def asked(world: World) -> Any:
    return world.children[CLAIM]["spec"]["resources"]["requests"]["storage"]


@pytest.mark.parametrize(
    ("live", "size", "becomes"),
    [
        pytest.param("20Gi", "10Gi", "20Gi", id="enlarged by hand"),
        pytest.param("5Gi", "10Gi", "10Gi", id="retained by an earlier fine-tune that needed less"),
    ],
)
def test_size_of_a_claim_that_is_there(live: str, size: str, becomes: str) -> None:
    world = World(storage={"size": size})
    world.settle()
    world.children[CLAIM]["spec"]["resources"]["requests"]["storage"] = live
    world.children[CLAIM]["metadata"]["labels"].pop(LABEL_MANAGED_BY)
    world.settle()
    assert asked(world) == becomes


def test_a_claim_that_is_gone_is_made_as_the_spec_says() -> None:
    world = World(storage={"size": "10Gi"})
    world.settle()
    world.children[CLAIM]["spec"]["resources"]["requests"]["storage"] = "20Gi"
    world.lose(CLAIM)
    world.settle()
    assert asked(world) == "10Gi"
