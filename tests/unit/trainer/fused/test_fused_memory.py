"""The memory that is foretold against what a micro-batch took."""

from collections.abc import Sequence

import pytest
import torch

from llmfinetune_trainer.engine.fused import FusedGradients
from llmfinetune_trainer.engine.fused.head import chunk_rows
from llmfinetune_trainer.engine.fused.memory import buffers_of
from tests.unit.trainer.fused import builders


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("targets", builders.TARGETS.values(), ids=builders.TARGETS)
def test_buffers_are_foretold(targets: Sequence[str], recompute: bool) -> None:
    subject = builders.subject(targets=targets, dtype=torch.bfloat16, num_hidden_layers=6)
    engine = FusedGradients(*subject, recompute=recompute)
    batch = builders.packed(builders.documents(90, 80))
    engine.forward_backward(batch, scale=1.0, dropout_seed=0)
    foretold = buffers_of(subject.model.config, rows=170, targets=targets, rank=4, recompute=recompute)
    assert foretold.total == pytest.approx(engine.space.num_bytes, rel=0.1)


@pytest.mark.parametrize(
    ("rows", "vocabulary", "expected"),
    [
        pytest.param(512, 49152, 512, id="as many as may be"),
        pytest.param(1090, 49152, 364, id="equal chunks"),
        pytest.param(1090, 131072, 218, id="never more logits because the vocabulary is large"),
        pytest.param(0, 49152, 1, id="nothing"),
    ],
)
def test_rows_of_logits_come_in_equal_chunks(rows: int, vocabulary: int, expected: int) -> None:
    assert chunk_rows(rows, vocabulary) == expected
