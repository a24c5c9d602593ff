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
    """One writer thread over a store. A checkpoint that is due while another is being written is left out."""

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

    def save_soon(self, checkpoint: Checkpoint) -> bool:
        """Writes a checkpoint, whose tensors must be copies, in the background; False if the writer is busy.

        Raises:
            OSError: the write before failed.
        """
        if self._pending is not None and not self._pending.done():
            return False
        self._finish_pending()
        self._pending = self._pool.submit(self._save, checkpoint)
        return True

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

    def _finish_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _save(self, checkpoint: Checkpoint) -> None:
        with self._writing:
            facts = self._store.save(checkpoint, now=self._clock())
        log.info("checkpoint of step %d saved: %s", facts.step, facts.path)
        self._on_saved(facts)
