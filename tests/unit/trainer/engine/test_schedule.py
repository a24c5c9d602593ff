"""Learning rates and lengths of runs."""

import pytest

from llmfinetune_trainer.config.run import TrainingConfig
from llmfinetune_trainer.engine.schedule import learning_rate, num_training_samples, num_training_steps


@pytest.mark.parametrize(
    ("settings", "num_samples", "samples", "steps"),
    [
        ({"epochs": 2, "batch_size": 8}, 20, 40, 5),
        ({"epochs": 1, "batch_size": 8}, 20, 20, 3),
        ({"epochs": 0.5, "batch_size": 4}, 20, 10, 3),
        ({"max_steps": 7, "batch_size": 8}, 20, 56, 7),
        ({"batch_size": 10}, 20, 60, 6),
        ({"epochs": 0.001, "batch_size": 4}, 20, 1, 1),
    ],
    ids=[
        "two epochs in full batches",
        "the last batch of the run is smaller",
        "half an epoch",
        "steps are counted in full batches",
        "three epochs where nothing is said",
        "a fraction of a sample is one sample",
    ],
)
def test_length_of_a_run(settings: dict[str, float], num_samples: int, samples: int, steps: int) -> None:
    training = TrainingConfig.model_validate(settings)
    assert num_training_samples(training, num_samples) == samples
    assert num_training_steps(training, num_samples) == steps


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("linear", [1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("cosine", [1 / 3, 2 / 3, 1, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381]),
    ],
)
def test_rates_after_a_warm_up_of_two_steps(schedule: str, expected: list[float]) -> None:
    training = TrainingConfig.model_validate(
        {"learning_rate": 1.0, "schedule": schedule, "warmup_ratio": 0.2}
    )
    rates = [learning_rate(training, step=step, total_steps=10) for step in range(10)]
    assert rates == pytest.approx(expected, abs=1e-4)


def test_a_run_of_one_step_learns() -> None:
    assert learning_rate(TrainingConfig(learning_rate=1.0), step=0, total_steps=1) > 0
