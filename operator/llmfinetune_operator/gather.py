"""Gathers everything that a decision is made from: from memory, and from the server what no watch carries."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from llmfinetune_operator.errors import ConflictError
from llmfinetune_operator.events import pending
from llmfinetune_operator.memory import Memory
from llmfinetune_operator.observed import ChildRef, Key, Object, Observed, ReceivedReport
from llmfinetune_operator.progress.authority import bundle
from llmfinetune_operator.resources import names
from llmfinetune_operator.resources.config_map import progress_ca
from llmfinetune_operator.store import Store
from llmfinetune_operator.warning_events import WarningReader, Warnings

WARNINGS_FIRST_SECONDS: Final = 5.0
"""How long something waits before the warnings about it are read."""
WARNINGS_MOST_SECONDS: Final = 80.0
"""How often they are read again at least, while it still waits."""


class Reader(WarningReader, Protocol):
    """What gathering asks of the API server."""

    async def read(self, ref: ChildRef, namespace: str) -> Object | None:
        """Return an object, None where there is none."""


class Reports(Protocol):
    """What trainers have reported."""

    def latest(self, key: Key) -> ReceivedReport | None:
        """Return the latest report of a fine-tune."""

    def forget(self, key: Key) -> None:
        """Drop what was reported about a fine-tune that is gone."""


class TrainingApi(Protocol):
    """Whether training jobs can be made."""

    available: bool


class Gatherer:
    """Looks at one fine-tune a call."""

    def __init__(
        self,
        *,
        store: Store,
        reader: Reader,
        reports: Reports,
        training_api: TrainingApi,
        progress_ca: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._reader = reader
        self._reports = reports
        self._training_api = training_api
        self._progress_ca = progress_ca
        self._clock = clock
        self._watching_since = clock()
        self._warnings = Warnings(reader, clock=clock)

    async def observe(self, key: Key, fine_tune: Object, memory: Memory) -> Observed:
        """Return everything that a decision about the fine-tune is made from.

        Raises:
            ApiError: the API server could not be read.
        """
        children = {**await self._unwatched(key, fine_tune, memory), **self._store.children(key)}
        pods = self._store.pods(key)
        return Observed(
            fine_tune=fine_tune,
            children=children,
            pods=pods,
            failed_pods=self._store.failed_pods(key),
            events=await self._warnings_about(key, children, pods, memory),
            report=self._reports.latest(key),
            origin=self._store.fine_tune(Key(key.namespace, names.origin(fine_tune))),
            training_api_available=self._training_api.available,
            apply_errors=memory.errors,
            progress_ca=bundle(self._progress_ca, _known_ca(children, key), now=self._clock()),
            watching_since=self._watching_since,
            last_status_write=memory.last_status_write,
        )

    async def with_unwatched(self, ref: ChildRef, key: Key, observed: Observed, memory: Memory) -> Observed:
        """Return the observation with an object that no watch tells of, and look at it from now on.

        Raises:
            ApiError: the API server could not be read.
            ConflictError: the object is gone by now.
        """
        found = await self._reader.read(ref, key.namespace)
        if found is None:
            raise ConflictError("it came and went", what=f"{ref.kind} {ref.name}")
        memory.unwatched.add(ref)
        return replace(observed, children={**observed.children, ref: found})

    async def _unwatched(self, key: Key, fine_tune: Object, memory: Memory) -> dict[ChildRef, Object]:
        held = self._store.refs(key)
        memory.unwatched -= held
        asked = memory.unwatched | (_claims_to_read(fine_tune, has_children=bool(held)) - held)
        found = {ref: await self._reader.read(ref, key.namespace) for ref in asked}
        there = {ref: obj for ref, obj in found.items() if obj is not None}
        memory.unwatched &= there.keys()
        return there

    def after_writing(self, key: Key, observed: Observed, memory: Memory) -> Observed:
        """Return the observation with what has become of the children since, from memory alone."""
        if not memory.has_written and memory.errors == observed.apply_errors:
            return observed
        children = {**observed.children, **self._store.children(key)}
        return replace(observed, children=children, apply_errors=memory.errors)

    async def _warnings_about(
        self, key: Key, children: Mapping[ChildRef, Object], pods: tuple[Object, ...], memory: Memory
    ) -> tuple[Object, ...]:
        """Read the warnings about what waits: soon after it began to, then ever more seldom."""
        now = self._clock()
        uids = {each["metadata"]["uid"] for each in pending(children, pods)}
        if uids - memory.waiting:
            memory.warnings_interval = WARNINGS_FIRST_SECONDS
            memory.warnings_due = now + timedelta(seconds=WARNINGS_FIRST_SECONDS)
        memory.waiting = uids
        if not uids:
            memory.warnings, memory.warnings_due = (), None
        elif memory.are_warnings_due(now):
            memory.warnings = await self._warnings.about(key.namespace, uids)
            memory.warnings_interval = min(2 * memory.warnings_interval, WARNINGS_MOST_SECONDS)
            memory.warnings_due = now + timedelta(seconds=memory.warnings_interval)
        return memory.warnings


def _claims_to_read(fine_tune: Object, *, has_children: bool) -> set[ChildRef]:
    """The claim, as it can be there though no watch tells of it: the user's has no label of ours, and anybody
    can take the label of our own away, with all work on it. Only before anything was made it is not looked
    for, as making it tells."""
    has_begun = has_children or bool(fine_tune.get("status"))
    return {names.claim_ref(fine_tune)} if has_begun or names.existing_claim(fine_tune) else set()


def _known_ca(children: Mapping[ChildRef, Object], key: Key) -> str:
    return progress_ca(children.get(ChildRef("v1", "ConfigMap", names.run_config_map(key.name))))
