"""The mean step of a run, from lengths alone."""

import pytest

from llmfinetune_trainer.config.run import TrainingConfig
from llmfinetune_trainer.estimate.plan import plan_of
from tests.unit.trainer.engine.tiny import MemorySamples
from tests.unit.trainer.estimate.builders import shape


def test_a_step_has_the_tokens_of_its_samples_and_micro_batches_within_the_budget() -> None:
    samples = MemorySamples([40] * 30)
    plan = plan_of(samples, TrainingConfig(batch_size=8), shape=shape(), budget=100, workers=1)
    assert plan.tokens == 320
    assert plan.micro_batches == 4
    assert plan.rows <= 80
    assert len(plan.packs) == 4


def test_the_longest_sample_counts_however_rare() -> None:
    samples = MemorySamples([40] * 2000 + [500])
    plan = plan_of(samples, TrainingConfig(batch_size=8), shape=shape(), budget=100, workers=1)
    assert plan.rows == 500


def test_workers_share_the_micro_batches_and_not_the_work() -> None:
    samples = MemorySamples([40] * 30)
    training = TrainingConfig(batch_size=8)
    one, two = (plan_of(samples, training, shape=shape(), budget=100, workers=n) for n in (1, 2))
    assert two.micro_batches == one.micro_batches / 2
    assert two.work == one.work


@pytest.mark.parametrize("steps", [None, 1], ids=["epochs", "a single step"])
def test_however_short_the_run_steps_are_planned(steps: int | None) -> None:
    training = TrainingConfig(batch_size=4, max_steps=steps)
    assert plan_of(MemorySamples([16] * 3), training, shape=shape(), budget=100, workers=1).tokens == 64
