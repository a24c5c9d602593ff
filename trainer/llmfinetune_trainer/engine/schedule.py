"""Learning rate and length of a run, as pure functions of the configuration and the step."""

import math

from llmfinetune_trainer.config.run import TrainingConfig

DEFAULT_EPOCHS = 3.0


def num_training_samples(training: TrainingConfig, num_samples: int) -> int:
    """Samples that the whole run visits: exact passes over the data, or full batches up to `maxSteps`."""
    if training.max_steps is not None:
        return training.max_steps * training.batch_size
    epochs = DEFAULT_EPOCHS if training.epochs is None else training.epochs
    return max(1, round(epochs * num_samples))


def num_training_steps(training: TrainingConfig, num_samples: int) -> int:
    """Optimizer steps of the whole run; the last one may be smaller."""
    return math.ceil(num_training_samples(training, num_samples) / training.batch_size)


def learning_rate(training: TrainingConfig, *, step: int, total_steps: int) -> float:
    """Learning rate of one step, counted from 0: linear warm-up, then the schedule down to zero.

    The first step already learns, and the last one does too: zero lies just outside of the run at both ends.
    """
    warmup = math.ceil(training.warmup_ratio * total_steps)
    if step < warmup:
        return training.learning_rate * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, total_steps - warmup)
    match training.schedule:
        case "constant":
            return training.learning_rate
        case "linear":
            return training.learning_rate * (1.0 - progress)
        case "cosine":
            return training.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))
