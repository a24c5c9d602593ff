"""Amounts of memory as people write and read them; how quantities are read is tested with the operator's
drift."""

import pytest

from llmfinetune_trainer.config.quantity import memory_text, quantity


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(870 << 20, "870Mi"), (1 << 30, "1.00Gi"), (1_632_087_572, "1.52Gi"), (24 << 30, "24.0Gi"), (0, "0Mi")],
)
def test_memory_is_written_as_a_quantity_that_reads_back(num_bytes: int, text: str) -> None:
    assert memory_text(num_bytes) == text
    assert quantity(text) == pytest.approx(num_bytes, rel=0.01)
