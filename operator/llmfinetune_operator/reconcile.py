"""Gather, decide, act: one step of one fine-tune towards its spec, whatever event woke it.

Gathering reads memory; the server is asked only for what no watch carries. Acting writes only what differs,
so a second reconcile of an unchanged world writes nothing. Whatever fails is tried again by the queue.
"""

import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from llmfinetune_operator.decision import Decision, Deletion
from llmfinetune_operator.drift import needs_apply
from llmfinetune_operator.errors import (
    ApiError,
    ConflictError,
    ExistsError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from llmfinetune_operator.events import event_object
from llmfinetune_operator.gather import Gatherer, Reader, Reports, TrainingApi
from llmfinetune_operator.memory import Memory, Refusal
from llmfinetune_operator.observed import ChildRef, Key, Object, Observed
from llmfinetune_operator.resources import names
from llmfinetune_operator.settings import Settings
from llmfinetune_operator.store import Store, ref_of

FOLLOW_UP_SECONDS: Final = 0.5
"""When the next look follows a write: controllers have often done by then what follows from it."""
logger = logging.getLogger(__name__)


class Cluster(Reader, Protocol):
    """What a reconcile asks of the API server."""

    async def read_fine_tune(self, key: Key) -> Object | None:
        """Return a fine-tune, None where there is none."""

    async def apply(self, obj: Object) -> Object:
        """Make the object's fields so, and return the whole object."""

    async def apply_new(self, obj: Object) -> Object:
        """Make an object where there is none, else raise `ExistsError`."""

    async def delete(self, deletion: Deletion, namespace: str) -> None:
        """Delete an object, unless it is another one by now."""

    async def write_status(self, fine_tune: Object, status: dict[str, Any]) -> Object:
        """Replace the status, unless the fine-tune has changed since it was read."""

    async def post_event(self, event: Object) -> None:
        """Create an event."""


class CountFailure(Protocol):
    """Counts failures for Prometheus."""

    def __call__(self, category: str, *, retryable: bool) -> None:
        """Count one."""


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
        count_failure: CountFailure,
        is_busy: Callable[[], bool],
    ) -> None:
        self._decide = decide
        self._store = store
        self._cluster = cluster
        self._reports = reports
        self._training_api = training_api
        self._settings = settings
        self._clock = clock
        self._instance = instance
        self._count_failure = count_failure
        self._is_busy = is_busy
        self._memories: dict[Key, Memory] = {}
        self._gatherer = Gatherer(
            store=store,
            reader=cluster,
            reports=reports,
            training_api=training_api,
            progress_ca=progress_ca,
            clock=clock,
        )

    async def __call__(self, key: Key) -> float | None:
        """Reconcile, and return after how many seconds to do so again without any event: never (None) where
        the fine-tune is gone or on its way, and whenever it is convenient (infinity) where nothing waits.

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
        memory.has_written = False
        observed = await self._gatherer.observe(key, fine_tune, memory)
        decision = await self._act(key, observed, memory)
        return self._seconds_until_next(decision, memory)

    async def _act(self, key: Key, observed: Observed, memory: Memory) -> Decision:
        """Act on the children first: one status write tells what was wanted and what has come of it."""
        now = self._clock()
        decision = self._decide(observed, self._settings, now)
        if decision.forget_report:
            self._reports.forget(key)
        for deletion in decision.delete:
            await self._cluster.delete(deletion, key.namespace)
            memory.has_written = True
        taken = await self._apply(decision.apply, observed, memory)
        if taken is not None:
            complete = await self._gatherer.with_unwatched(taken, key, observed, memory)
            return await self._act(key, complete, memory)
        if self._can_tell_later(observed.fine_tune, decision, memory):
            return decision
        after = self._gatherer.after_writing(key, observed, memory)
        if after is not observed:
            decision = self._decide(after, self._settings, now)
        await self._write_status(key, observed.fine_tune, decision, memory)
        return decision

    def _can_tell_later(self, fine_tune: Object, decision: Decision, memory: Memory) -> bool:
        """Whether other fine-tunes wait to be begun, and the first word about this one can follow theirs.

        Only where children were made, so that the next look, which makes none, tells; and only the first
        word: what is counted in a status that exists is not to be lost.
        """
        return self._is_busy() and memory.has_written and not fine_tune.get("status") and not decision.delete

    async def _apply(
        self, desired: tuple[Object, ...], observed: Observed, memory: Memory
    ) -> ChildRef | None:
        """Apply what is missing or drifted, in order, up to the first object that is refused.

        An object that seemed to be missing, but is there, ends it too and is returned: it may be another's.
        """
        wanted = {ref_of(obj) for obj in desired}
        memory.refused = {ref: refusal for ref, refusal in memory.refused.items() if ref in wanted}
        for obj in desired:
            ref = ref_of(obj)
            live = observed.children.get(ref)
            if live is not None and (live["metadata"].get("deletionTimestamp") or not needs_apply(obj, live)):
                memory.refused.pop(ref, None)
                continue
            try:
                if not await self._offer(obj, memory, is_new=live is None):
                    return None
            except ExistsError:
                return ref
        return None

    async def _offer(self, obj: Object, memory: Memory, *, is_new: bool) -> bool:
        """Apply one object, unless the same one was refused a moment ago, and say whether it is there."""
        ref, now = ref_of(obj), self._clock()
        known = memory.refused.get(ref)
        span = timedelta(seconds=self._settings.refused_retry_seconds * 0.9)
        if known is not None and known.still_holds(obj, now, span):
            return False
        try:
            applied = await (self._cluster.apply_new(obj) if is_new else self._cluster.apply(obj))
        except (RefusedError, UnavailableError, NotFoundError) as error:
            if not error.status or error.status in (401, 429):
                raise
            if isinstance(error, NotFoundError) and ref.kind == names.TRAINING_KIND:
                self._training_api.available = False
            memory.refused[ref] = Refusal(desired=obj, message=error.reason, at=now)
            logger.warning("the API server refused an object", extra={"object": ref, "reason": error.reason})
            return False
        memory.refused.pop(ref, None)
        memory.has_written |= bool(self._store.put(applied))
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
        memory.has_written |= bool(self._store.put(written))
        memory.last_status_write = self._clock()
        if decision.failure is not None:
            self._count_failure(decision.failure.category, retryable=decision.failure.retryable)
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
            posted = event_object(event, fine_tune, now=self._clock(), instance=self._instance)
            try:
                await self._cluster.post_event(posted)
            except ApiError as error:
                logger.warning("cannot post an event", extra={"event": event.reason, "reason": error.reason})

    def _seconds_until_next(self, decision: Decision, memory: Memory) -> float:
        """What was written is no news when a watch delivers it, so that a look at what it led to is due."""
        now = self._clock()
        follow_up = now + timedelta(seconds=FOLLOW_UP_SECONDS) if memory.has_written else None
        times = [each for each in (decision.wake_at, memory.warnings_due, follow_up) if each is not None]
        return max(0.0, (min(times) - now).total_seconds()) if times else math.inf
