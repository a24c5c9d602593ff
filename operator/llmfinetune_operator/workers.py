"""The loops around the reconciler: workers that take keys from the queue, and what their failures lead to."""

import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final

from llmfinetune_operator.errors import ApiError, ConflictError
from llmfinetune_operator.metrics import Metrics
from llmfinetune_operator.observed import Key
from llmfinetune_operator.queue import ShutDownError, WorkQueue

RESYNC_JITTER: Final = 0.25
logger = logging.getLogger(__name__)


class Workers:
    """Take keys from the queue and reconcile them, each in one worker at a time.

    A reconcile tells after how many seconds the next is due, None where the fine-tune is gone: then `forget`
    is told of it.
    """

    def __init__(
        self,
        *,
        queue: WorkQueue[Key],
        reconcile: Callable[[Key], Awaitable[float | None]],
        metrics: Metrics,
        forget: Callable[[Key], object],
        resync_seconds: float,
        random: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._metrics = metrics
        self._forget = forget
        self._resync_seconds = resync_seconds
        self._random = random

    async def work(self) -> None:
        """Reconcile one key after the other until the queue is shut down."""
        while True:
            try:
                key = await self._queue.get()
            except ShutDownError:
                return
            try:
                await self._one(key)
            finally:
                self._queue.done(key)

    async def _one(self, key: Key) -> None:
        started = perf_counter()
        try:
            again_after = await self._reconcile(key)
        except Exception as error:  # a defect met by one fine-tune must not stop the others
            self._failed(key, error)
            return
        finally:
            self._metrics.reconcile_seconds.observe(perf_counter() - started)
        self._metrics.reconciles.labels("ok").inc()
        if again_after is None:
            self._queue.drop(key)
            self._forget(key)
            return
        self._queue.forget(key)
        resync = self._resync_seconds * (1.0 + RESYNC_JITTER * self._random())
        self._queue.add_after(key, min(resync, again_after))

    def _failed(self, key: Key, error: Exception) -> None:
        wait = error.retry_after if isinstance(error, ApiError) else 0.0
        delay = self._queue.retry(key, at_least=wait)
        said = {"key": key, "reason": str(error), "again_in": round(delay, 1)}
        if isinstance(error, ConflictError):
            self._metrics.reconciles.labels("conflict").inc()
            logger.debug("changed meanwhile, reconciling again", extra=said)
        elif isinstance(error, ApiError):
            self._metrics.reconciles.labels("api_error").inc()
            logger.warning("reconcile failed, trying again", extra=said)
        else:
            self._metrics.reconciles.labels("error").inc()
            logger.error("reconcile failed by a defect, trying again", extra=said, exc_info=error)
