"""Watches that go silent or are torn: what they did not tell is found out, and nothing is made twice."""

import pytest

from tests.api.faults.noted import recovery
from tests.api.faults.proxy import Break, FaultProxy
from tests.api.operator.conftest import StartOperator
from tests.api.operator.test_children import AT_FIRST, first_children, meaning
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(300)]
SOON = {"LLMFINETUNE_WATCH_SILENCE_SECONDS": "5"}
AS_INSTALLED: dict[str, str] = {}
"""More than a minute passes before a silent watch is begun anew."""


@pytest.mark.parametrize(
    ("how", "patience", "fault"),
    [
        pytest.param("silent", SOON, "watches silent, begun anew after 5 s", id="silent"),
        pytest.param("torn", SOON, "watches torn", id="torn"),
        pytest.param(
            "silent",
            AS_INSTALLED,
            "watches silent, as installed",
            marks=pytest.mark.chaos,
            id="silent for as long as an installed operator bears it",
        ),
    ],
)
def test_what_a_broken_watch_did_not_tell_is_put_right(
    training_api: None,
    start_operator: StartOperator,
    proxy: FaultProxy,
    world: World,
    how: Break,
    patience: dict[str, str],
    fault: str,
) -> None:
    operator = start_operator(env=patience)
    first_children(world)
    world.pod_of_prepare()
    world.settled(quiet=1.0)
    before = meaning(world.get("configmaps", "medical-run"))
    assert proxy.break_watches(how) >= 7
    world.delete("serviceaccounts", "medical-trainer")
    world.patch("configmaps", "medical-run", {"data": None})
    world.create("legal")
    with recovery(fault):
        world.until(lambda: world.children().keys() >= AT_FIRST)
        world.until(lambda: meaning(world.get("configmaps", "medical-run")) == before)
        world.until(lambda: world.get("jobs", "legal-prepare"))
    assert operator.get("/healthz")[0] == 200
    world.pod_of_prepare("legal")
    assert len(world.list("pods")) == 2


def test_a_fine_tune_that_went_while_the_watches_were_silent_is_not_restored(
    training_api: None, start_operator: StartOperator, proxy: FaultProxy, world: World
) -> None:
    operator = start_operator(env=SOON)
    world.create(storage={"retain": False})
    world.until(lambda: world.children().keys() == AT_FIRST)
    proxy.break_watches("silent")
    world.delete("llmfinetunes", "medical")
    with recovery("watches silent while a fine-tune is deleted"):
        world.until(lambda: not world.children())
    world.create("legal")
    world.until(lambda: world.get("jobs", "legal-prepare"))
    assert {name for name in world.children() if "medical" in name} == set()
    assert operator.get("/healthz")[0] == 200
