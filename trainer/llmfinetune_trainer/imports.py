"""Imports: without what slows them down, and of packages that may be broken."""

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from llmfinetune_trainer.errors import user_error


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


def imported(module: str, *, field: str) -> ModuleType:
    """A Python package that a field of the manifest asks for.

    Raises:
        RunError: it is there, and cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a library that it loads is missing or does not fit
        raise user_error(
            "RuntimeBroken",
            f"{field} needs the Python package {module}, which cannot be imported: {error}",
            hint="use an image whose package fits its torch, or set the field to auto",
        ) from error
