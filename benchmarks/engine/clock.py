"""Clocks: the processor's matrix-product peak, and where an engine's time goes."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch

from llmfinetune_trainer.engine.fused import FusedGradients

SIZE = 2048
KERNELS = (
    "rms_norm",
    "rms_norm_backward",
    "rotate",
    "swiglu",
    "swiglu_backward",
    "dropout",
    "cross_entropy",
    "attention",
    "attention_backward",
)


def now() -> float:
    """Seconds on the wall; with one thread those of the processor, which a busy machine does not blur."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def seconds(action: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = now()
    action()
    return now() - start


def matrix_peak(repeats: int = 6) -> float:
    """Floating-point operations per second of the median of some bf16 products of 2048³."""
    a, b = (torch.randn(SIZE, SIZE).bfloat16() for _ in range(2))
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)
    times = [seconds(lambda: torch.mm(a, b, out=out)) for _ in range(repeats)]
    return 2 * SIZE**3 / statistics.median(times)


class Parts:
    """Counts seconds and calls of an engine's kernels and of torch's products."""

    def __init__(self, engine: FusedGradients) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._operations: defaultdict[str, float] = defaultdict(float)
        for name in KERNELS:
            setattr(engine.kernels, name, self._timed(name, getattr(engine.kernels, name)))
        self._product = torch.mm
        torch.mm = self._timed_product

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            start = now()
            result = function(*args, **options)
            self._seconds[name] += now() - start
            return result

        return timed

    def _timed_product(self, a: torch.Tensor, b: torch.Tensor, **options: Any) -> torch.Tensor:
        rows, depth, columns = *a.shape, b.shape[1]
        skinny = min(rows, depth, columns) <= 64
        name = (
            "products, skinny" if skinny else "products, head" if max(depth, columns) > 20000 else "products"
        )
        start = now()
        result = self._product(a, b, **options)
        if (rows, columns) != (SIZE, SIZE):
            self._seconds[name] += now() - start
            self._operations[name] += 2.0 * rows * depth * columns
        return result

    def table(self, total: float) -> str:
        """Seconds, share and speed of each part, the largest first."""
        parts = sorted(self._seconds.items(), key=lambda item: -item[1])
        lines = [
            f"{name:20} {took:8.3f} s {took / total:6.1%}  {self._operations[name] / took / 1e9:6.0f} GFLOP/s"
            for name, took in parts
        ]
        rest = total - sum(self._seconds.values())
        return "\n".join([*lines, f"{'everything else':20} {rest:8.3f} s {rest / total:6.1%}"])
