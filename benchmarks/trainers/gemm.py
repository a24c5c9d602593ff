"""The machine's speed at the moment: products of square bf16 matrices, the naive limit of training."""

import statistics
import time

import torch

SIZE = 2048


def measure_gemm(*, repetitions: int = 12, threads: int = 2) -> float:
    """Median speed of a `SIZE`³ bf16 product, in operations per second."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    left, right = (torch.randn(SIZE, SIZE).to(torch.bfloat16) for _ in range(2))
    torch.mm(left, right)
    seconds = [_timed(left, right) for _ in range(repetitions)]
    torch.set_num_threads(before)
    return 2.0 * SIZE**3 / statistics.median(seconds)


def _timed(left: torch.Tensor, right: torch.Tensor) -> float:
    started = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - started
