"""What the operator halves after workers ran out of memory is what the trainer took."""

from llmfinetune_operator.policies.remedies import AUTOMATIC_TOKENS
from llmfinetune_trainer.engine.batches import TOKEN_BUDGET


def test_both_mean_the_same_by_automatic() -> None:
    assert AUTOMATIC_TOKENS == TOKEN_BUDGET
