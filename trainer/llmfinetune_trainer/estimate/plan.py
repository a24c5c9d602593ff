"""What a run computes in a step, from its settings and the lengths of its samples. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from llmfinetune_trainer.config.run import TrainingConfig
from llmfinetune_trainer.engine.batches import MicroBatch, Samples, StepPlan, micro_batch, plan_step
from llmfinetune_trainer.engine.fused.flops import work_with
from llmfinetune_trainer.engine.fused.prefix import rows_of
from llmfinetune_trainer.estimate.shape import Shape

STEPS = 8
"""Steps that are laid out as training would; others are taken to be like them."""


class Plan(NamedTuple):
    """The mean step of a run."""

    tokens: float
    """Tokens of the global batch, none of them padding."""
    supervised: float
    """Of them, those that carry loss."""
    work: float
    """Floating-point operations, over all workers."""
    micro_batches: float
    """Micro-batches of one worker."""
    rows: int
    """Tokens that the largest micro-batch computes, a shared prefix counted once: that of the longest sample
    of all, however rare it is, if no other is larger."""
    packs: Sequence[MicroBatch]
    """The first step's micro-batches of the first worker."""


def plan_of(samples: Samples, training: TrainingConfig, *, shape: Shape, budget: int, workers: int) -> Plan:
    """Plans the first steps of a run.

    Args:
        samples: the training samples, or some that are like them.
        training: the optimisation.
        shape: the model.
        budget: most tokens of a micro-batch.
        workers: ranks that share a step.
    """
    steps = [_step(samples, training, number, budget=budget, workers=workers) for number in range(STEPS)]
    packs = [[micro_batch(samples, indices) for indices in step.packs] for step in steps]
    work = [
        work_with(
            shape.weights, samples.lengths[step.samples].tolist(), num_supervised=step.num_supervised
        ).total
        for step in steps
    ]
    return Plan(
        tokens=float(np.mean([step.num_tokens for step in steps])),
        supervised=float(np.mean([step.num_supervised for step in steps])),
        work=float(np.mean(work)),
        micro_batches=float(np.mean([len(step.packs) for step in steps])),
        rows=max(
            int(samples.lengths.max()), *(_rows(batch, shape) for of_step in packs for batch in of_step)
        ),
        packs=packs[0],
    )


def _step(samples: Samples, training: TrainingConfig, number: int, *, budget: int, workers: int) -> StepPlan:
    """The step after `number` full ones; the data is taken to repeat, however short the run."""
    endless = training.model_copy(update={"max_steps": STEPS, "epochs": None})
    cursor = number * training.batch_size
    return plan_step(samples, endless, cursor=cursor, rank=0, world_size=workers, budget=budget)


def _rows(batch: MicroBatch, shape: Shape) -> int:
    if shape.engine != "fused":
        return batch.input_ids.shape[1]
    return len(rows_of(batch, share_prefix=True).token_ids)
