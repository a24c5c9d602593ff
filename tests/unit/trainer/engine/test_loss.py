"""The chunked loss with its own gradient equals the plain one."""

import pytest
import torch

from llmfinetune_trainer.engine.loss import Head, cross_entropy_sum


def reference(hidden: torch.Tensor, head: Head, targets: torch.Tensor) -> torch.Tensor:
    logits = torch.nn.functional.linear(hidden, head.weight, head.bias)
    logits = logits if head.transform is None else head.transform(logits)
    return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")


@pytest.mark.parametrize("chunk_rows", [1, 3, 7, 100], ids=lambda n: f"chunks of {n} rows")
@pytest.mark.parametrize(
    "head",
    [
        Head(torch.randn(11, 6)),
        Head(torch.randn(11, 6), bias=torch.randn(11)),
        Head(torch.randn(11, 6), transform=lambda logits: torch.tanh(logits / 2.0) * 2.0),
    ],
    ids=["plain head", "with bias", "with soft cap"],
)
def test_loss_and_gradient_equal_the_unchunked_ones(head: Head, chunk_rows: int) -> None:
    hidden, targets = torch.randn(7, 6), torch.randint(0, 11, (7,))
    ours, theirs = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    loss = cross_entropy_sum(ours, head, targets, chunk_rows=chunk_rows)
    expected = reference(theirs, head, targets)
    (loss * 0.25).backward()
    (expected * 0.25).backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_statistics_are_kept_in_32_bits_when_the_model_computes_in_16() -> None:
    hidden = torch.randn(64, 32, dtype=torch.bfloat16)
    head, targets = Head(torch.randn(500, 32, dtype=torch.bfloat16)), torch.randint(0, 500, (64,))
    loss = cross_entropy_sum(hidden, head, targets)
    assert loss.dtype is torch.float32
    torch.testing.assert_close(loss, reference(hidden, head, targets), rtol=1e-6, atol=0.0)


def test_no_supervised_row_is_no_loss() -> None:
    hidden = torch.randn(0, 6, requires_grad=True)
    loss = cross_entropy_sum(hidden, Head(torch.randn(11, 6)), torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0.0
