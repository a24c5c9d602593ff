"""Where an engine's time goes."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.clock import SIZE, now
from llmfinetune_trainer.engine.fused import FusedGradients

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
SKINNY = 64
"""Products with a side this short or shorter are the adapters'."""


class Parts:
    """Counts seconds and operations of an engine's kernels and of torch's products."""

    def __init__(self, engine: FusedGradients) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._operations: defaultdict[str, float] = defaultdict(float)
        self._vocabulary = len(engine.head)
        self._in_product = False
        for name in KERNELS:
            setattr(engine.kernels, name, self._timed(name, getattr(engine.kernels, name)))
        self._product = engine.kernels.product
        setattr(engine.kernels, "product", self._timed_product(engine.kernels.product))  # noqa: B010
        setattr(torch, "mm", self._timed_product(torch.mm))  # noqa: B010

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            start = now()
            result = function(*args, **options)
            self._seconds[name] += now() - start
            return result

        return timed

    def _timed_product(self, product: Callable[..., Any]) -> Callable[..., Any]:
        def timed(a: torch.Tensor, b: torch.Tensor, **options: Any) -> Any:
            if self._in_product:
                return product(a, b, **options)
            name = self._name(*a.shape, b.shape[1])
            start, self._in_product = now(), True
            result = product(a, b, **options)
            self._in_product = False
            if (len(a), b.shape[1]) != (SIZE, SIZE):
                self._seconds[name] += now() - start
                self._operations[name] += 2.0 * a.numel() * b.shape[1]
            return result

        return timed

    def _name(self, *sides: int) -> str:
        if min(sides) <= SKINNY:
            return "products, skinny"
        return "products, head" if self._vocabulary in sides else "products"

    def table(self, total: float) -> str:
        """Seconds, share and speed of each part, the largest first."""
        parts = sorted(self._seconds.items(), key=lambda item: -item[1])
        lines = [
            f"{name:20} {took:8.3f} s {took / total:6.1%}  {self._operations[name] / took / 1e9:6.0f} GFLOP/s"
            for name, took in parts
        ]
        rest = total - sum(self._seconds.values())
        return "\n".join([*lines, f"{'everything else':20} {rest:8.3f} s {rest / total:6.1%}"])
