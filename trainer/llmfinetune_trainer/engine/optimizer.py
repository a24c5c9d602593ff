"""AdamW on the flat master weights, with clipping by the global norm."""

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class FlatAdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) over one flat buffer, its moments in two others.

    torch's own optimizer keeps its state per parameter object; a flat one is saved and restored as it lies.
    """

    def __init__(self, master: Tensor, *, weight_decay: float) -> None:
        self.weight_decay = weight_decay
        self.num_updates = 0
        self._master = master
        self.first = torch.zeros_like(master)
        self.second = torch.zeros_like(master)

    @torch.no_grad()
    def step(self, gradient: Tensor, *, learning_rate: float) -> None:
        """One update of the master weights in place."""
        self.num_updates += 1
        self._master.mul_(1.0 - learning_rate * self.weight_decay)
        self.first.lerp_(gradient, 1.0 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1.0 - BETAS[1])
        scale = (1.0 - BETAS[1] ** self.num_updates) ** 0.5
        denominator = (self.second.sqrt() / scale).add_(EPSILON)
        self._master.addcdiv_(
            self.first, denominator, value=-learning_rate / (1.0 - BETAS[0] ** self.num_updates)
        )


def clip_by_norm(gradient: Tensor, *, limit: float | None) -> float:
    """Scales the gradient in place so that its norm is at most `limit`; returns the norm it had."""
    norm = float(torch.linalg.vector_norm(gradient))
    if limit is not None and norm > limit:
        gradient.mul_(limit / norm)
    return norm
