"""Clocks, and the machine's speed at the moment: products of square bf16 matrices, training's naive limit."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

SIZE = 2048


def now() -> float:
    """Seconds on the wall; with one thread those of the processor, which a busy machine does not blur."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def seconds(action: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = now()
    action()
    return now() - start


def matrix_peak(*, repeats: int = 12, threads: int | None = None) -> float:
    """Median speed of a `SIZE`³ bf16 product through torch, in floating-point operations per second.

    Args:
        repeats: products that are timed.
        threads: torch's threads meanwhile; `None` leaves them as they are.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    a, b = (torch.randn(SIZE, SIZE).bfloat16() for _ in range(2))
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)
    times = [seconds(lambda: torch.mm(a, b, out=out)) for _ in range(repeats)]
    torch.set_num_threads(before)
    return 2 * SIZE**3 / statistics.median(times)
