"""The objects of a fine-tune: made, owned, left alone while nothing changes, restored, removed with it."""

from collections.abc import Callable

import pytest

from tests.api.client import Json
from tests.api.operator.process import OperatorProcess
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]
AT_FIRST = {
    "configmaps/medical-run",
    "persistentvolumeclaims/medical",
    "serviceaccounts/medical-trainer",
    "jobs/medical-prepare",
}


def first_children(world: World) -> Json:
    world.create()
    world.until(lambda: world.children().keys() == AT_FIRST)
    return world.children()


def test_children_appear_and_belong_to_the_fine_tune(operator: OperatorProcess, world: World) -> None:
    children = first_children(world)
    uid = (world.get("llmfinetunes", "medical") or {})["metadata"]["uid"]
    owners = {
        name: [each["uid"] for each in child["metadata"].get("ownerReferences", [])]
        for name, child in children.items()
    }
    claims = {name for name in owners if name.startswith("persistentvolumeclaims")}
    assert all(owners[name] == [uid] for name in owners.keys() - claims), owners


def test_the_first_status_says_what_is_going_on(operator: OperatorProcess, world: World) -> None:
    first_children(world)
    status = world.until(lambda: world.status())
    conditions = {each["type"]: each["status"] for each in status["conditions"]}
    assert status["observedGeneration"] == 1
    assert (conditions["Ready"], conditions["Reconciling"]) == ("False", "True")


def test_while_nothing_changes_nothing_is_written(operator: OperatorProcess, world: World) -> None:
    first_children(world)
    before = world.settled()
    writes = operator.num_writes()
    assert world.settled(quiet=6.0) == before
    assert operator.num_writes() == writes


def test_a_restarted_operator_writes_nothing_to_a_world_that_is_as_it_should_be(
    operator: OperatorProcess, world: World
) -> None:
    first_children(world)
    before = world.settled()
    operator.kill()
    operator.start()
    assert world.settled() == before
    assert operator.num_writes() == 0, operator.samples("llmfinetune_operator_api_requests_total")


@pytest.mark.parametrize("child", sorted(AT_FIRST))
def test_a_deleted_child_is_made_again(operator: OperatorProcess, world: World, child: str) -> None:
    old = first_children(world)[child]
    plural, name = child.split("/")
    world.patch(plural, name, {"metadata": {"finalizers": None}})
    world.delete(plural, name)

    def is_back() -> bool:
        new = world.get(plural, name)
        return new is not None and new["metadata"]["uid"] != old["metadata"]["uid"]

    world.until(is_back)


def relabel(world: World, plural: str, name: str) -> None:
    world.patch(plural, name, {"metadata": {"labels": {"llmfinetune.dev/name": "legal"}}})


def unlabel(world: World, plural: str, name: str) -> None:
    world.patch(plural, name, {"metadata": {"labels": {"llmfinetune.dev/name": None}}})


def disown(world: World, plural: str, name: str) -> None:
    world.patch(plural, name, {"metadata": {"ownerReferences": None}})


def empty(world: World, plural: str, name: str) -> None:
    world.patch(plural, name, {"data": None})


@pytest.mark.parametrize(
    ("child", "edit"),
    [
        pytest.param("configmaps/medical-run", empty, id="configuration and certificates removed"),
        pytest.param("configmaps/medical-run", disown, id="owner removed"),
        pytest.param("serviceaccounts/medical-trainer", unlabel, id="label removed"),
        pytest.param("serviceaccounts/medical-trainer", relabel, id="label pointing elsewhere"),
    ],
)
def test_an_edited_child_is_put_right(
    operator: OperatorProcess, world: World, child: str, edit: Callable[[World, str, str], None]
) -> None:
    first_children(world)
    world.settled(quiet=1.0)
    plural, name = child.split("/")
    before = meaning(world.get(plural, name))
    edit(world, plural, name)
    world.until(lambda: meaning(world.get(plural, name)) == before)


def meaning(obj: Json | None) -> Json:
    """Return what the operator says about an object."""
    assert obj is not None
    metadata = obj["metadata"]
    return {
        "data": obj.get("data"),
        "labels": metadata.get("labels"),
        "owners": metadata.get("ownerReferences"),
    }


def test_a_deleted_fine_tune_takes_everything_along_that_it_does_not_retain(
    operator: OperatorProcess, world: World
) -> None:
    world.create(storage={"retain": False})
    world.until(lambda: world.children().keys() == AT_FIRST)
    world.delete("llmfinetunes", "medical")
    world.until(lambda: not world.children(), timeout=40)


def test_nothing_holds_a_fine_tune_back_while_no_operator_runs(
    operator: OperatorProcess, world: World
) -> None:
    first_children(world)
    operator.kill()
    fine_tune = world.get("llmfinetunes", "medical")
    assert fine_tune is not None
    assert "finalizers" not in fine_tune["metadata"]
    assert "annotations" not in fine_tune["metadata"]
    world.delete("llmfinetunes", "medical")
    assert world.get("llmfinetunes", "medical") is None
    operator.start()
