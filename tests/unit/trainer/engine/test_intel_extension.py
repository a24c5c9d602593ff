"""Intel's extension computes what torch computes; in a process of its own, for it replaces operators."""

from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from llmfinetune_trainer.engine import intel, trial
from llmfinetune_trainer.engine.batches import micro_batch

from .tiny import MemorySamples, adapted, base_model

pytestmark = pytest.mark.skipif(not intel.is_installed(), reason="Intel's extension is not installed")


def test_intels_layout_changes_neither_loss_nor_gradients() -> None:
    multiprocessing.spawn(_compare, nprocs=1)  # type: ignore[no-untyped-call]


def test_both_backends_are_measured_in_a_process_of_their_own(tmp_path: Path) -> None:
    base_model("gemma2").save_pretrained(tmp_path)
    seconds = trial.measure_apart(tmp_path, precision="fp32")
    assert set(seconds) == {"torch", "ipex"}
    assert all(value > 0.0 for value in seconds.values())


def _compare(_rank: int) -> None:
    batch = micro_batch(MemorySamples([12, 7, 5]), [0, 1, 2])
    _, adapters, computer = adapted()
    loss = computer.forward_backward(batch, scale=0.1, dropout_seed=0)
    model, prepacked, prepacked_computer = adapted()
    intel.prepack_frozen_layers(model, dtype=torch.float32)
    prepacked_loss = prepacked_computer.forward_backward(batch, scale=0.1, dropout_seed=0)
    assert prepacked_loss == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(prepacked.gradient, adapters.gradient, rtol=1e-4, atol=1e-6)
