"""Claims without the label, which no watch tells of: of the user, and ours when it was edited."""

from collections.abc import Callable

import pytest

from tests.api.client import Json
from tests.api.operator.process import OperatorProcess
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]
CLAIM: Json = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "medical"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
LABEL = "llmfinetune.dev/name"


def test_an_existing_claim_may_have_the_name_of_the_fine_tune(
    operator: OperatorProcess, world: World
) -> None:
    assert world.client.request("POST", world.path("persistentvolumeclaims"), CLAIM).status == 201
    world.create(storage={"existingClaim": "medical"})
    world.until(lambda: world.get("jobs", "medical-prepare"))
    assert "failure" not in world.status()
    claim = world.get("persistentvolumeclaims", "medical") or {}
    assert "labels" not in claim["metadata"]


def unlabel(world: World) -> None:
    world.patch("persistentvolumeclaims", "medical", {"metadata": {"labels": {LABEL: None}}})


def relabel(world: World) -> None:
    world.patch("persistentvolumeclaims", "medical", {"metadata": {"labels": {LABEL: "legal"}}})


def strip(world: World) -> None:
    world.patch("persistentvolumeclaims", "medical", {"metadata": {"labels": None}})


@pytest.mark.parametrize("edit", [unlabel, relabel, strip])
def test_whoever_edits_the_labels_of_our_claim_does_not_take_its_work_away(
    operator: OperatorProcess, world: World, edit: Callable[[World], None]
) -> None:
    job = world.training_job()
    before = {name: child["metadata"]["uid"] for name, child in world.children().items()}
    world.until(lambda: world.status().get("dataset"))
    world.settled(quiet=1.0)
    edit(world)
    labels = world.until(
        lambda: (
            (world.get("persistentvolumeclaims", "medical") or {})["metadata"].get("labels", {}).get(LABEL)
            == "medical"
        )
    )
    assert labels
    world.settled(quiet=2.0)
    assert {name: child["metadata"]["uid"] for name, child in world.children().items()} == before
    assert (world.get("pytorchjobs", "medical") or {})["metadata"]["uid"] == job["metadata"]["uid"]
    assert "failure" not in world.status()
