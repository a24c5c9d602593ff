"""Writes checkpoints in the background: training pauses only while the state is copied."""

import datetime as dt
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from llmfinetune_trainer.checkpoint.store import Checkpoint, CheckpointStore
from llmfinetune_trainer.config.messages import CheckpointFacts

log = logging.getLogger(__name__)


class CheckpointWriter:
    """One writer thread over a store. A checkpoint that is due while another is being written is left out.

    Args:
        store: where checkpoints go.
        clock: the time, in UTC.
        on_saved: told of every checkpoint that lies on the disk and was read back.
    """

    def __init__(
        self,
        store: CheckpointStore,
        *,
        clock: Callable[[], dt.datetime],
        on_saved: Callable[[CheckpointFacts], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_saved = on_saved
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self._writing = threading.Lock()

    def save_soon(self, copy: Callable[[], Checkpoint]) -> bool:
        """Copies the state and writes the copy in the background; False, and neither, if the writer is busy.

        Raises:
            OSError: the write before failed.
        """
        if self._is_busy:
            return False
        self._finish_pending()
        self._pending = self._pool.submit(self._save, copy())
        return True

    def require_sound(self) -> None:
        """Tells of a failed write at the next step and not only with the next checkpoint.

        Raises:
            OSError: the write before failed.
        """
        if not self._is_busy:
            self._finish_pending()

    def save_now(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint and returns when it is on the disk.

        Raises:
            OSError: the volume is full or not writable.
        """
        self._finish_pending()
        self._save(checkpoint)

    def close(self) -> None:
        """Waits for the write under way.

        Raises:
            OSError: it failed.
        """
        self._finish_pending()
        self._pool.shutdown()

    @property
    def _is_busy(self) -> bool:
        return self._pending is not None and not self._pending.done()

    def _finish_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _save(self, checkpoint: Checkpoint) -> None:
        with self._writing:
            facts = self._store.save(checkpoint, now=self._clock())
        log.info("checkpoint of step %d saved: %s", facts.step, facts.path)
        self._on_saved(facts)
