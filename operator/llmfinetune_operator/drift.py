"""Tells whether a live object still is what was desired, so that nothing is written for nothing."""

from collections.abc import Sequence
from typing import Any

from llmfinetune_trainer.config.quantity import quantity


def needs_apply(desired: Any, live: Any) -> bool:
    """True unless every field of `desired` is in `live` with an equal value.

    Both are JSON as `json.loads` returns it. What `live` has beyond that (defaults, other managers' fields,
    status) does not count, except in lists, whose length must agree. An empty value equals an absent one, and
    Kubernetes quantities are compared by their value.
    """
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            return bool(desired) or live is not None
        return any(needs_apply(value, live.get(key)) for key, value in desired.items())
    if isinstance(desired, list | tuple):
        return _lists_differ(desired, live)
    return not _equal(desired, live)


def _lists_differ(desired: Sequence[Any], live: Any) -> bool:
    present = live or []
    if not isinstance(present, list) or len(desired) != len(present):
        return True
    return any(needs_apply(a, b) for a, b in zip(desired, present, strict=True))


def _equal(desired: Any, live: Any) -> bool:
    if isinstance(desired, bool) or isinstance(live, bool):
        return desired is live
    if desired == live:
        return True
    value = quantity(desired)
    return value is not None and value == quantity(live)
