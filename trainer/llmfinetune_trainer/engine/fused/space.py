"""Tensors that live as long as the engine: no micro-batch after the first asks the system for memory."""

import torch
from torch import Tensor


class Space:
    """Named buffers, as large as the largest micro-batch wanted them, holding whatever was left there."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, rows: int, columns: int) -> Tensor:
        """[rows, columns] of the buffer `name`, which a later call by that name overwrites."""
        size = rows * columns
        held = self._buffers.get(name)
        if held is None or held.numel() < size:
            held = self._buffers[name] = torch.empty(size, dtype=self._dtype)
        return held[:size].view(rows, columns)

    @property
    def num_bytes(self) -> int:
        """What all buffers hold."""
        return sum(held.numel() * held.element_size() for held in self._buffers.values())
