"""Imports of torch, transformers and peft without what slows them down."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Collects no garbage meanwhile, and never looks at what is there afterwards.

    The modules make a million objects that stay. Looking through them again and again takes a tenth of the
    time that importing takes.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
