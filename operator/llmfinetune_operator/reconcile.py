"""Gather, decide, act: one step of one fine-tune towards its spec, whatever event woke it.

Gathering reads memory; the server is asked only for what no watch carries. Acting writes only what differs,
so a second reconcile of an unchanged world writes nothing. Whatever fails is tried again by the queue.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from llmfinetune_operator import events
from llmfinetune_operator.decision import Decision, Deletion
from llmfinetune_operator.drift import needs_apply
from llmfinetune_operator.errors import ApiError, ConflictError, NotFoundError, RefusedError, UnavailableError
from llmfinetune_operator.observed import ChildRef, Key, Object, Observed, ReceivedReport
from llmfinetune_operator.progress.authority import bundle
from llmfinetune_operator.resources import names
from llmfinetune_operator.settings import Settings
from llmfinetune_operator.store import Store, ref_of

WARNINGS_FIRST_SECONDS: Final = 5.0
"""How long something waits before the warnings about it are read."""
WARNINGS_MOST_SECONDS: Final = 80.0
"""How often they are read again at least, while it still waits."""
logger = logging.getLogger(__name__)


class Cluster(Protocol):
    """What a reconcile asks of the API server."""

    async def read(self, ref: ChildRef, namespace: str) -> Object | None:
        """Return an object, None where there is none."""

    async def read_fine_tune(self, key: Key) -> Object | None:
        """Return a fine-tune, None where there is none."""

    async def apply(self, obj: Object) -> Object:
        """Make the object's fields so, and return the whole object."""

    async def delete(self, deletion: Deletion, namespace: str) -> None:
        """Delete an object, unless it is another one by now."""

    async def write_status(self, fine_tune: Object, status: dict[str, Any]) -> Object:
        """Replace the status, unless the fine-tune has changed since it was read."""

    async def warnings_about(self, obj: Object) -> list[Object]:
        """Return the warning events about one object."""

    async def post_event(self, event: Object) -> None:
        """Create an event."""


class Reports(Protocol):
    """What trainers have reported."""

    def latest(self, key: Key) -> ReceivedReport | None:
        """Return the latest report of a fine-tune."""

    def forget(self, key: Key) -> None:
        """Drop what was reported about a fine-tune that is gone."""


class TrainingApi(Protocol):
    """Whether training jobs can be made."""

    available: bool


@dataclass
class Memory:
    """What has to be remembered of a fine-tune between reconciles and can be lost at a restart."""

    last_status_write: datetime | None = None
    refused: dict[ChildRef, "Refusal"] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    warnings: tuple[Object, ...] = ()
    warnings_due: datetime | None = None
    warnings_interval: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An object that the API server did not take; the same is offered again only after `until`."""

    desired: Object
    message: str
    until: datetime


class Reconciler:
    """Reconciles one fine-tune a call; calls for different keys may run side by side."""

    def __init__(
        self,
        *,
        decide: Callable[[Observed, Settings, datetime], Decision],
        store: Store,
        cluster: Cluster,
        reports: Reports,
        training_api: TrainingApi,
        settings: Settings,
        progress_ca: str,
        clock: Callable[[], datetime],
        instance: str,
    ) -> None:
        self._decide = decide
        self._store = store
        self._cluster = cluster
        self._reports = reports
        self._training_api = training_api
        self._settings = settings
        self._progress_ca = progress_ca
        self._clock = clock
        self._instance = instance
        self._memories: dict[Key, Memory] = {}

    async def __call__(self, key: Key) -> float | None:
        """Reconcile, and return after how many seconds to do so again without any event.

        Raises:
            ApiError: the API server could not be read or written; the next try starts over.
        """
        fine_tune = self._store.fine_tune(key)
        if fine_tune is None:
            self._memories.pop(key, None)
            self._reports.forget(key)
            return None
        if fine_tune["metadata"].get("deletionTimestamp"):
            return None
        memory = self._memories.setdefault(key, Memory())
        observed = await self._gather(key, fine_tune, memory)
        decision = await self._act(key, observed, memory)
        return self._seconds_until_next(decision, memory)

    async def _gather(self, key: Key, fine_tune: Object, memory: Memory) -> Observed:
        children = dict(self._store.children(key))
        for ref in names.child_refs(fine_tune):
            if ref.kind == "PersistentVolumeClaim" and ref.name != names.claim(key.name):
                claim = await self._cluster.read(ref, key.namespace)
                children |= {ref: claim} if claim is not None else {}
        pods = self._store.pods(key)
        return Observed(
            fine_tune=fine_tune,
            children=children,
            pods=pods,
            events=await self._warnings(children, pods, memory),
            report=self._reports.latest(key),
            training_api_available=self._training_api.available,
            apply_errors={ref: refusal.message for ref, refusal in memory.refused.items()},
            progress_ca=bundle(self._progress_ca, _known_ca(children, key), now=self._clock()),
            last_status_write=memory.last_status_write,
        )

    async def _warnings(
        self, children: dict[ChildRef, Object], pods: tuple[Object, ...], memory: Memory
    ) -> tuple[Object, ...]:
        """Read the warnings about what waits: soon after it began to, then ever more seldom."""
        now, waiting = self._clock(), events.pending(children, pods)
        uids = {each["metadata"]["uid"] for each in waiting}
        if uids - memory.waiting:
            memory.warnings_interval = WARNINGS_FIRST_SECONDS
            memory.warnings_due = now + timedelta(seconds=WARNINGS_FIRST_SECONDS)
        memory.waiting = uids
        if not waiting:
            memory.warnings, memory.warnings_due = (), None
        elif memory.warnings_due is not None and now >= memory.warnings_due:
            found = [warning for each in waiting for warning in await self._cluster.warnings_about(each)]
            memory.warnings = tuple(found)
            memory.warnings_interval = min(2 * memory.warnings_interval, WARNINGS_MOST_SECONDS)
            memory.warnings_due = now + timedelta(seconds=memory.warnings_interval)
        return memory.warnings

    async def _act(self, key: Key, observed: Observed, memory: Memory) -> Decision:
        now = self._clock()
        decision = self._decide(observed, self._settings, now)
        if unseen := await self._unseen(key, decision, observed):
            observed = replace(observed, children={**observed.children, **unseen})
            decision = self._decide(observed, self._settings, now)
        for deletion in decision.delete:
            await self._cluster.delete(deletion, key.namespace)
        await self._apply(decision.apply, observed, memory)
        errors = {ref: refusal.message for ref, refusal in memory.refused.items()}
        if errors != observed.apply_errors:
            decision = self._decide(replace(observed, apply_errors=errors), self._settings, now)
        await self._write_status(key, observed.fine_tune, decision, memory)
        return decision

    async def _unseen(self, key: Key, decision: Decision, observed: Observed) -> dict[ChildRef, Object]:
        """Read what is to be made anew, in case there is one without our label: that may be somebody else's."""
        absent = [ref for each in decision.apply if (ref := ref_of(each)) not in observed.children]
        found = {ref: await self._cluster.read(ref, key.namespace) for ref in absent}
        return {ref: obj for ref, obj in found.items() if obj is not None}

    async def _apply(self, desired: tuple[Object, ...], observed: Observed, memory: Memory) -> None:
        """Apply what drifted, in order, up to the first object that is refused."""
        wanted = {ref_of(obj) for obj in desired}
        memory.refused = {ref: refusal for ref, refusal in memory.refused.items() if ref in wanted}
        for obj in desired:
            ref = ref_of(obj)
            live = observed.children.get(ref)
            if live is not None and (live["metadata"].get("deletionTimestamp") or not needs_apply(obj, live)):
                memory.refused.pop(ref, None)
            elif not await self._offer(obj, memory):
                return

    async def _offer(self, obj: Object, memory: Memory) -> bool:
        """Apply one object, unless the same one was refused a moment ago, and say whether it is there."""
        ref, now = ref_of(obj), self._clock()
        known = memory.refused.get(ref)
        if known is not None and known.desired == obj and now < known.until:
            return False
        try:
            self._store.put(await self._cluster.apply(obj))
        except (RefusedError, UnavailableError, NotFoundError) as error:
            if not error.status or error.status in (401, 429):
                raise
            if isinstance(error, NotFoundError) and ref.kind == names.TRAINING_KIND:
                self._training_api.available = False
            until = now + timedelta(seconds=self._settings.refused_retry_seconds * 0.9)
            memory.refused[ref] = Refusal(desired=obj, message=error.reason, until=until)
            logger.warning("the API server refused an object", extra={"object": ref, "reason": error.reason})
            return False
        memory.refused.pop(ref, None)
        return True

    async def _write_status(self, key: Key, fine_tune: Object, decision: Decision, memory: Memory) -> None:
        if decision.status == (fine_tune.get("status") or {}):
            return
        try:
            written = await self._cluster.write_status(fine_tune, decision.status)
        except NotFoundError:
            self._store.remove(fine_tune)
            return
        except ConflictError:
            await self._read_again(key, fine_tune)
            raise
        self._store.put(written)
        memory.last_status_write = self._clock()
        await self._post_events(written, decision)

    async def _read_again(self, key: Key, stale: Object) -> None:
        fresh = await self._cluster.read_fine_tune(key)
        if fresh is None:
            self._store.remove(stale)
        else:
            self._store.put(fresh)

    async def _post_events(self, fine_tune: Object, decision: Decision) -> None:
        """Post what the written status means to people; one that cannot be posted is not worth a retry."""
        for event in decision.events:
            posted = events.event_object(event, fine_tune, now=self._clock(), instance=self._instance)
            try:
                await self._cluster.post_event(posted)
            except ApiError as error:
                logger.warning("cannot post an event", extra={"event": event.reason, "reason": error.reason})

    def _seconds_until_next(self, decision: Decision, memory: Memory) -> float | None:
        times = [each for each in (decision.wake_at, memory.warnings_due) if each is not None]
        return max(0.0, (min(times) - self._clock()).total_seconds()) if times else None


def _known_ca(children: dict[ChildRef, Object], key: Key) -> str:
    config_map = children.get(ChildRef("v1", "ConfigMap", names.progress_ca_config_map(key.name)))
    return str(((config_map or {}).get("data") or {}).get("ca.crt") or "")
