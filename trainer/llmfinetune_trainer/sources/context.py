"""What every kind of source needs to fetch something."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from llmfinetune_trainer.config.layout import ENV_SOURCES, SOURCES, Layout
from llmfinetune_trainer.errors import RunError, data_error, model_access_error, user_error

Kind = Literal["model", "dataset", "resumeFrom"]


class FetchContext(NamedTuple):
    """Where to put what is fetched, and how to get at it."""

    layout: Layout
    progress: Callable[[str], None]
    sources: Path = SOURCES
    """Below it `claims/<claim>` and `configmaps/<name>` are mounted."""
    token: str | None = None
    """Hugging Face token; never written to a log or a message."""
    offline: bool = False
    """Use only what was fetched before."""
    endpoint: str | None = None
    """Address of the Hugging Face hub; None for the library's own."""


def sources_root(environment: Mapping[str, str] = os.environ) -> Path:
    """Where volumes that sources name are mounted."""
    return Path(environment.get(ENV_SOURCES) or SOURCES)


def access_error(kind: Kind, reason: str, message: str, *, hint: str) -> RunError:
    """What a source names cannot be had: in the category of what it was to be."""
    make = {"model": model_access_error, "dataset": data_error, "resumeFrom": user_error}[kind]
    return make(reason, message, hint=hint)
