"""The flat optimizer against torch's own."""

import math

import pytest
import torch

from llmfinetune_trainer.engine.optimizer import FlatAdamW, clip_by_norm


@pytest.mark.parametrize("weight_decay", [0.0, 0.1], ids=["without decay", "with decay"])
def test_updates_equal_torchs_adamw(weight_decay: float) -> None:
    start = torch.randn(50)
    ours, theirs = start.clone(), torch.nn.Parameter(start.clone())
    optimizer = FlatAdamW(ours, weight_decay=weight_decay)
    reference = torch.optim.AdamW([theirs], weight_decay=weight_decay)
    for rate in (0.1, 0.05, 0.01):
        gradient = torch.randn(50)
        optimizer.step(gradient, learning_rate=rate)
        theirs.grad = gradient.clone()
        reference.param_groups[0]["lr"] = rate
        reference.step()
    torch.testing.assert_close(ours, theirs.detach())


@pytest.mark.parametrize(
    ("limit", "expected"), [(1.0, 1.0), (10.0, 5.0), (None, 5.0)], ids=["clipped", "below the limit", "off"]
)
def test_clipping_scales_to_the_limit_and_returns_the_norm_before(
    limit: float | None, expected: float
) -> None:
    gradient = torch.tensor([3.0, 4.0])
    assert clip_by_norm(gradient, limit=limit) == pytest.approx(5.0)
    assert float(gradient.norm()) == pytest.approx(expected)


def test_a_gradient_that_is_not_finite_shows_in_the_norm() -> None:
    assert not math.isfinite(clip_by_norm(torch.tensor([1.0, float("nan")]), limit=1.0))
