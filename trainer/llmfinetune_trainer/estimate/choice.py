"""Which micro-batches to compute, and whether to keep activations or compute them again, so that a run fits
into the memory that there is. Pure.

Every choice gives the same results. They are tried from the fastest to the smallest: less than 1024 tokens
at a time cost a few per cent each time they are halved, computing activations again costs a third of the
time; a micro-batch is never smaller than the longest sample.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from llmfinetune_trainer.estimate.memory import Memory

ROOM = 0.9
"""Part of the limit that a choice may fill: an estimate is no measurement."""
TOLERANCE = 0.15
"""How far off an estimate may be: what exceeds the limit by more surely does not fit."""


class Choice(NamedTuple):
    """How micro-batches are computed."""

    tokens: int
    """Most tokens of a micro-batch."""
    recompute: bool


class Fit(NamedTuple):
    """A choice and the memory that it takes."""

    choice: Choice
    memory: Memory


LADDER = (
    *(Choice(tokens, recompute=False) for tokens in (2048, 1024, 512, 256)),
    *(Choice(tokens, recompute=True) for tokens in (1024, 512, 256)),
    *(Choice(tokens, recompute=False) for tokens in (128, 64)),
    *(Choice(tokens, recompute=True) for tokens in (128, 64)),
)
"""From the fastest to the smallest."""


def candidates(*, tokens: int | None, can_recompute: bool) -> Sequence[Choice]:
    """What may be chosen.

    Args:
        tokens: `runtime.microBatchTokens`, where it is set.
        can_recompute: whether the engine's path is able to.
    """
    ladder = LADDER if tokens is None else (Choice(tokens, recompute=False), Choice(tokens, recompute=True))
    return [choice for choice in ladder if can_recompute or not choice.recompute]


def choose(choices: Sequence[Choice], *, limit: int, memory_at: Callable[[Choice], Memory]) -> Fit:
    """The first choice that leaves room within `limit` bytes, else the one that takes least memory."""
    fits = []
    for choice in choices:
        fit = Fit(choice, memory_at(choice))
        if fit.memory.total <= ROOM * limit:
            return fit
        fits.append(fit)
    return min(fits, key=lambda fit: fit.memory.total)
