"""Kubernetes quantities, such as 500m, 4Gi or 2, as numbers; and bytes as people write them."""

import re
from decimal import Decimal
from typing import Any

_QUANTITY = re.compile(
    r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_MI = 1 << 20


def quantity(text: Any) -> Decimal | None:
    """Value of a Kubernetes quantity ("500m", "4Gi", 2), None where it is none."""
    match = _QUANTITY.match(str(text)) if isinstance(text, str | int | float) else None
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    if suffix in _BINARY:
        return Decimal(number) * Decimal(1024) ** _BINARY[suffix]
    return Decimal(f"{number}{exponent or ''}").scaleb(_DECIMAL.get(suffix, 0))


def memory_text(num_bytes: int) -> str:
    """Bytes as a quantity of at most four digits: 870Mi, 1.52Gi, 24.1Gi."""
    if num_bytes < 1000 * _MI:
        return f"{num_bytes / _MI:.0f}Mi"
    gib = num_bytes / (1024 * _MI)
    return f"{gib:.2f}Gi" if gib < 10 else f"{gib:.1f}Gi"
