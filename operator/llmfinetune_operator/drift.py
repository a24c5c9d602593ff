"""Tells whether a live object still is what was desired, so that nothing is written while nothing has
changed."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

_QUANTITY = re.compile(
    r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


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


def quantity(text: Any) -> Decimal | None:
    """Value of a Kubernetes quantity ("500m", "4Gi", 2), None where it is none."""
    match = _QUANTITY.match(str(text)) if isinstance(text, str | int | float) else None
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    if suffix in _BINARY:
        return Decimal(number) * Decimal(1024) ** _BINARY[suffix]
    return Decimal(f"{number}{exponent or ''}").scaleb(_DECIMAL.get(suffix, 0))
