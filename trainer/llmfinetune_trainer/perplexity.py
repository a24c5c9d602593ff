"""Perplexity of a loss."""

import math


def perplexity(loss: float) -> float:
    """exp of a mean loss in nats; the largest number there is where it would be infinite."""
    return math.exp(min(loss, 709.0))
