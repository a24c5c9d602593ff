"""A process that has imported what training needs and waits: workers are forked from it, and start at once.

Importing torch, transformers and peft takes several seconds of a processor, at every start of a worker: after
each lost peer and each change of their number. It is Python's own fork server, with one module to import.
"""

import multiprocessing
from multiprocessing import forkserver
from typing import Final

PRELOADED: Final = "llmfinetune_trainer.engine.preload"
START_METHOD: Final = "forkserver"


def start() -> None:
    """Starts it; the imports go on in the background, while this process imports and meets its peers."""
    multiprocessing.set_forkserver_preload([PRELOADED])
    forkserver.ensure_running()
