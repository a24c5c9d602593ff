"""How tests make up histories: the same few in every run, or many at random."""

import os

from hypothesis import HealthCheck, Phase, settings

AT_RANDOM = int(os.environ.get("LLMFINETUNE_HISTORIES", "0"))
"""How many; 0 for the same few."""


def histories(number: int, *, steps: int = 50) -> settings:
    """Settings for so many histories, of at most so many steps where a state machine makes them."""
    return settings(
        max_examples=AT_RANDOM or number,
        stateful_step_count=steps,
        deadline=None,
        derandomize=not AT_RANDOM,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
    )
