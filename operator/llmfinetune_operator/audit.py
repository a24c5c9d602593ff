"""Compares the store with the API server now and then: a watch can miss what happened while it was broken.

Its first clean pass also tells that the watches have delivered everything there was at the start.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from llmfinetune_operator.cluster.paths import PLURALS
from llmfinetune_operator.errors import ApiError, NotFoundError
from llmfinetune_operator.observed import ChildRef, Key, Object
from llmfinetune_operator.store import Store, ref_of, uid_of, version_of

FIRST_SECONDS: Final = 0.5
AUDIT_SECONDS: Final = 600.0
ASKED_SECONDS: Final = 1.0
"""How long one that is asked for waits: watches break and start over several at a time."""
JITTER: Final = 0.25
logger = logging.getLogger(__name__)


class Lister(Protocol):
    """Reads from the API server."""

    def list_metadata(self, api_version: str, kind: str, namespace: str | None) -> AsyncIterator[Object]:
        """Yield metadata of all objects of a kind."""

    async def read(self, ref: ChildRef, namespace: str) -> Object | None:
        """Return an object, None where there is none."""


class Listed(NamedTuple):
    """What is kept of a listed object: enough to tell whether the store has it, and to read it."""

    ref: ChildRef
    namespace: str
    version: int


class Audit:
    """Repairs the store, and has what it repaired reconciled."""

    def __init__(
        self,
        *,
        store: Store,
        lister: Lister,
        namespaces: tuple[str, ...],
        notify: Callable[[Key], object],
        random: Callable[[], float],
    ) -> None:
        self._store = store
        self._lister = lister
        self._namespaces: tuple[str | None, ...] = namespaces or (None,)
        self._notify = notify
        self._random = random
        self._synced = asyncio.Event()
        self._asked = asyncio.Event()

    @property
    def is_synced(self) -> bool:
        """Whether the store has once held everything that the API server has."""
        return self._synced.is_set()

    async def synced(self) -> None:
        """Wait until it has."""
        await self._synced.wait()

    def ask(self) -> None:
        """Have the store compared soon: a watch that starts over tells no deletion that it missed."""
        if self.is_synced:
            self._asked.set()

    async def run_forever(self) -> None:
        """Audit often until the store is complete, then every now and then."""
        while True:
            try:
                if self.is_synced or await self._is_complete():
                    self._synced.set()
                    await self._until_due()
                    await self.repair()
                    continue
            except ApiError as error:
                logger.warning("cannot compare with the API server", extra={"reason": str(error)})
            await asyncio.sleep(FIRST_SECONDS)

    async def repair(self) -> int:
        """Bring the store to what the API server has, and return how many objects differed."""
        return sum([await self._repair_kind(*each) for each in PLURALS])

    async def _until_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(AUDIT_SECONDS * (1.0 + JITTER * self._random())):
                await self._asked.wait()
                await asyncio.sleep(ASKED_SECONDS)
        self._asked.clear()

    async def _is_complete(self) -> bool:
        for api_version, kind in PLURALS:
            known = {state.uid for state in self._store.states(api_version, kind)}
            if (await self._list(api_version, kind)).keys() - known:
                return False
        return True

    async def _repair_kind(self, api_version: str, kind: str) -> int:
        before = {state.uid: state for state in self._store.states(api_version, kind)}
        listed = await self._list(api_version, kind)
        gone = [state for uid, state in before.items() if uid not in listed]
        missed = [
            found for uid, found in listed.items() if uid not in before or before[uid].version < found.version
        ]
        for state in gone:
            self._tell(self._store.remove(state.unpacked()))
        for found in missed:
            await self._read(found)
        return len(gone) + len(missed)

    async def _read(self, listed: Listed) -> None:
        fresh = await self._lister.read(listed.ref, listed.namespace)
        if fresh is not None:
            self._tell(self._store.put(fresh))

    async def _list(self, api_version: str, kind: str) -> dict[str, Listed]:
        """Return every object of a kind by its uid."""
        found = {}
        try:
            for namespace in self._namespaces:
                async for obj in self._lister.list_metadata(api_version, kind, namespace):
                    found[uid_of(obj)] = Listed(ref_of(obj), obj["metadata"]["namespace"], version_of(obj))
        except NotFoundError:  # the kind is not installed
            return {}
        return found

    def _tell(self, keys: set[Key]) -> None:
        for key in keys:
            self._notify(key)
