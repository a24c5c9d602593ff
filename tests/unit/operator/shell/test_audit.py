"""What a watch missed is found by comparing, soon after a watch has started over."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from llmfinetune_operator import audit as module
from llmfinetune_operator.audit import Audit
from llmfinetune_operator.errors import NotFoundError, UnavailableError
from llmfinetune_operator.observed import ChildRef, Key, Object
from llmfinetune_operator.store import Packed, Store, ref_of
from tests.unit.operator.reconcile.objects import KEY, child, fine_tune


class Server:
    """Has what it is given; a kind in `missing` is not installed."""

    def __init__(self, *objects: Object) -> None:
        self.objects = list(objects)
        self.missing = {"PyTorchJob"}
        self.is_away = False

    async def list_metadata(
        self, api_version: str, kind: str, namespace: str | None
    ) -> AsyncIterator[Object]:
        if self.is_away:
            raise UnavailableError("connection refused", what="GET")
        if kind in self.missing:
            raise NotFoundError("no such kind", what="GET", status=404)
        for each in self.objects:
            if (each["apiVersion"], each["kind"]) == (api_version, kind):
                yield each

    async def read(self, ref: ChildRef, namespace: str) -> Object | None:
        return next((each for each in self.objects if ref_of(each) == ref), None)


class World:
    def __init__(self, *objects: Object) -> None:
        self.server = Server(*objects)
        self.store = Store()
        self.told: list[Key] = []
        self.audit = Audit(
            store=self.store,
            lister=self.server,
            namespaces=(),
            notify=self.told.append,
            random=lambda: 0.0,
        )


@pytest.mark.parametrize(
    ("known", "there", "repaired"),
    [
        pytest.param([child()], [], 1, id="a deletion that was missed"),
        pytest.param([], [child()], 1, id="an object that was missed"),
        pytest.param([child()], [child(version=2)], 1, id="a change that was missed"),
        pytest.param([child(uid="old")], [child(uid="new")], 2, id="an object made anew"),
        pytest.param([child(version=2)], [child(version=1)], 0, id="a list older than the store"),
        pytest.param([child(), fine_tune()], [child(), fine_tune()], 0, id="nothing missed"),
    ],
)
async def test_the_store_is_brought_to_what_the_server_has(
    known: list[dict[str, Any]], there: list[dict[str, Any]], repaired: int
) -> None:
    world = World(*there)
    for each in known:
        world.store.put(each)
    assert await world.audit.repair() == repaired
    assert set(world.told) == ({KEY} if repaired else set())
    assert await world.audit.repair() == 0


async def test_what_is_as_it_should_be_is_compared_without_being_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unpacked, and all at once, everything that there is would take ten times the memory."""
    world = World(child(), fine_tune())
    for each in (child(), fine_tune()):
        world.store.put(each)
    monkeypatch.delattr(Packed, "unpacked")
    assert await world.audit.repair() == 0


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(module, "ASKED_SECONDS", 0.001)


async def test_it_is_synced_once_the_store_has_everything(hurried: None) -> None:
    world = World(child(), fine_tune())
    world.server.is_away = True
    world.store.put(fine_tune())
    task = asyncio.create_task(world.audit.run_forever())
    await asyncio.sleep(0.02)
    world.server.is_away = False
    await asyncio.sleep(0.02)
    assert not world.audit.is_synced
    world.store.put(child())
    await asyncio.wait_for(world.audit.synced(), 1)
    task.cancel()


async def test_what_was_deleted_while_a_watch_was_away_is_found_when_it_starts_over(hurried: None) -> None:
    world = World()
    task = asyncio.create_task(world.audit.run_forever())
    await asyncio.wait_for(world.audit.synced(), 1)
    world.store.put(child())
    world.audit.ask()
    await asyncio.sleep(0.1)
    assert world.told == [KEY]
    assert world.store.children(KEY) == {}
    task.cancel()
