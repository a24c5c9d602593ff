"""Seconds of a micro-batch on this machine, measured on a few layers of the model.

The first and the last layer compute less than the others, and the output layer is there once; so the time of
the whole model is that of two layers plus what each further one adds. Neither the model's weights nor its
memory are needed.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from torch import Tensor

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.backend import Backend, gradient_computer
from llmfinetune_trainer.engine.batches import MicroBatch
from llmfinetune_trainer.engine.gradients import GradientComputer
from llmfinetune_trainer.estimate.few_layers import adapted_layers
from llmfinetune_trainer.estimate.shape import Shape
from llmfinetune_trainer.model.reduced import words

FEW, MORE = 2, 5
"""Layers of the two measured models."""
MAX_ROUNDS = 5


class Speed(NamedTuple):
    """What was measured."""

    seconds: float
    """Of the measured micro-batches, with all layers of the model."""
    rounds: int


class _Timed(NamedTuple):
    layers: int
    computer: GradientComputer


def measure(
    shape: Shape,
    lora: LoraConfig,
    batches: Sequence[MicroBatch],
    *,
    backend: Backend,
    max_length: int,
    recompute: bool,
    budget: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Measures the gradient of `batches`, every one in turn, for about `budget` seconds after one warm-up.

    Args:
        shape: the whole model.
        lora: the method as configured.
        batches: micro-batches of the run.
        backend: what will compute.
        max_length: the run's `maxSequenceLength`, on which the engine's path depends.
        recompute: whether activations are computed again.
        budget: seconds.
        clock: seconds that pass.
    """
    total = shape.config.num_hidden_layers
    embedding = words(shape.config, dtype=backend.dtype)
    models = [
        _Timed(
            layers,
            _computer(
                shape, lora, layers, embedding, backend=backend, max_length=max_length, recompute=recompute
            ),
        )
        for layers in ([FEW, MORE] if total > MORE else [total])
    ]
    for model in models:
        _seconds(model, batches, clock)
    rounds: list[list[float]] = []
    started = clock()
    while not rounds or (len(rounds) < MAX_ROUNDS and clock() - started < budget):
        rounds.append([_seconds(model, batches, clock) for model in models])
    return Speed(median(_whole(times, total) for times in rounds), len(rounds))


def _whole(times: Sequence[float], total: int) -> float:
    """Seconds with all layers, from those of few and of more."""
    if len(times) == 1:
        return times[0]
    few, more = times
    return few + (total - FEW) * max(0.0, more - few) / (MORE - FEW)


def _seconds(model: _Timed, batches: Sequence[MicroBatch], clock: Callable[[], float]) -> float:
    started = clock()
    for batch in batches:
        model.computer.forward_backward(batch, scale=1.0, dropout_seed=0)
    return clock() - started


def _computer(
    shape: Shape,
    lora: LoraConfig,
    layers: int,
    embedding: Tensor,
    *,
    backend: Backend,
    max_length: int,
    recompute: bool,
) -> GradientComputer:
    peft_model, adapters, named = adapted_layers(
        shape, lora, layers=layers, dtype=backend.dtype, embedding=embedding
    )
    computer, _ = gradient_computer(
        backend,
        peft_model,
        adapters,
        lora=named,
        max_length=max_length,
        recompute=recompute,
        proof=shape.proof,
    )
    return computer
