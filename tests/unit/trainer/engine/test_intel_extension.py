"""Intel's extension computes what torch computes; in a process of its own, for it replaces operators."""

import importlib.util

import pytest
import torch
from torch import multiprocessing

from llmfinetune_trainer.engine import backend
from llmfinetune_trainer.engine.batches import micro_batch

from .tiny import MemorySamples, adapted

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec(backend.IPEX) is None, reason="Intel's extension is not installed"
)


def test_intels_layout_changes_neither_loss_nor_gradients() -> None:
    multiprocessing.spawn(_compare, nprocs=1)  # type: ignore[no-untyped-call]


def _compare(_rank: int) -> None:
    batch = micro_batch(MemorySamples([12, 7, 5]), [0, 1, 2])
    _, adapters, computer = adapted()
    loss = computer.forward_backward(batch, scale=0.1, dropout_seed=0)
    model, prepacked, prepacked_computer = adapted()
    backend.prepack_frozen_layers(model, dtype=torch.float32)
    prepacked_loss = prepacked_computer.forward_backward(batch, scale=0.1, dropout_seed=0)
    assert prepacked_loss == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(prepacked.gradient, adapters.gradient, rtol=1e-4, atol=1e-6)
