"""Numbers as status has them: fractions as short decimal strings, which every client reads alike."""

import math

DIGITS = 4


def decimal(value: float | None) -> str | None:
    """A number with four significant digits: 1.83, 0.0002 or 1.4e-05."""
    return None if value is None else f"{value:.{DIGITS}g}"


def perplexity(loss: float | None) -> str | None:
    """The exponential of a loss, None where it would be beyond every number."""
    return None if loss is None or loss > math.log(1e300) else decimal(math.exp(loss))


def percent(step: int, total_steps: int) -> int:
    """Whole percent done; 100 only once everything is."""
    return min(100, 100 * step // total_steps) if total_steps else 0
