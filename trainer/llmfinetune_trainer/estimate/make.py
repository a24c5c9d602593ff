"""Makes an estimate: memory first, because a measurement of what does not fit would be killed; then time."""

import time
from collections.abc import Callable, Sequence
from functools import cache

import torch

from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.engine.backend import Backend, choose_backend, fused_obstacle
from llmfinetune_trainer.engine.batches import MicroBatch
from llmfinetune_trainer.engine.fused.flops import work_with
from llmfinetune_trainer.engine.machine import Machine
from llmfinetune_trainer.engine.proof import prove
from llmfinetune_trainer.engine.schedule import num_training_steps
from llmfinetune_trainer.estimate.choice import Choice, Fit, candidates, choose
from llmfinetune_trainer.estimate.limits import Limits
from llmfinetune_trainer.estimate.memory import Memory, memory_of
from llmfinetune_trainer.estimate.plan import Plan, plan_of
from llmfinetune_trainer.estimate.result import Estimate, Part
from llmfinetune_trainer.estimate.saved import saved_per_token
from llmfinetune_trainer.estimate.shape import Shape, shape_of
from llmfinetune_trainer.estimate.speed import FEW, MORE, measure
from llmfinetune_trainer.estimate.subject import Subject

FORWARD_SHARE = 0.5
"""Part of a step's operations that an evaluation needs: no gradients."""
MAX_MEASURED = 3
"""Micro-batches that are measured: the one with the longest samples, a middle one, and the last."""
SHORTEST_MEASURED = 256
"""Tokens of a measured micro-batch at least, however slow the machine."""
EXPECTED_SHARE = 0.6
"""Part of the speed of matrix products that a model reaches, for choosing how much to measure."""


class Estimator:
    """Everything about one run that its choices share.

    Args:
        config: the run configuration.
        subject: model and data.
        limits: memory and workers.
        backend: what will compute.
    """

    def __init__(self, config: RunConfig, subject: Subject, limits: Limits, *, backend: Backend) -> None:
        self._config, self._subject, self._limits = config, subject, limits
        self._backend = backend
        self.shape = _shape(config, subject, backend)
        self.plan = cache(self._plan)

    def _plan(self, tokens: int) -> Plan:
        return plan_of(
            self._subject.samples,
            self._config.training,
            shape=self.shape,
            budget=tokens if self.shape.proof.packs else 0,
            workers=self._limits.workers,
        )

    def memory_at(self, choice: Choice) -> Memory:
        """Memory of a worker that computes so."""
        return memory_of(
            self.shape,
            rows=self.plan(choice.tokens).rows,
            recompute=choice.recompute,
            data=self._subject.data_bytes,
            in_pod=self._limits.is_of_pod,
        )

    def choices(self) -> Sequence[Choice]:
        """What the configuration and the engine's path leave open."""
        can_recompute = self.shape.engine == "fused" or self.shape.proof.can_recompute
        return candidates(tokens=self._config.runtime.micro_batch_tokens, can_recompute=can_recompute)

    def fit(self) -> Fit:
        """How to compute within the limit."""
        return choose(self.choices(), limit=self._limits.memory, memory_at=self.memory_at)

    def estimate(self, *, seconds: float) -> Estimate:
        """The estimate, with a measurement of about `seconds`; with 0, without times."""
        fit = self.fit()
        untimed = self._untimed(fit, least=min(self.memory_at(choice).total for choice in self.choices()))
        if not seconds or untimed.is_too_small:
            return untimed
        return self._timed(untimed, fit.choice, seconds=seconds)

    def _untimed(self, fit: Fit, *, least: int) -> Estimate:
        plan = self.plan(fit.choice.tokens)
        useful = max(1, int(plan.tokens // fit.choice.tokens))
        return Estimate(
            engine=self.shape.engine,
            precision=self._backend.precision,
            memory=[Part(name=name, bytes=value) for name, value in fit.memory._asdict().items()],
            limit_bytes=self._limits.memory,
            limit_source=self._limits.source,
            least_bytes=least,
            micro_batch_tokens=fit.choice.tokens,
            recompute=fit.choice.recompute,
            micro_batches=plan.micro_batches,
            workers=self._limits.workers,
            recommended_workers=min(useful, self._limits.max_workers),
            tokens_per_step=plan.tokens,
            supervised_per_step=plan.supervised,
            flops_per_step=plan.work,
            total_steps=num_training_steps(self._config.training, self._subject.num_samples),
            threads=torch.get_num_threads(),
        )

    def _timed(self, estimate: Estimate, choice: Choice, *, seconds: float) -> Estimate:
        batches = self._measured_batches(choice, seconds=seconds)
        speed = measure(
            self.shape,
            self._config.method.lora,
            batches,
            backend=self._backend,
            max_length=self._config.training.max_sequence_length,
            recompute=choice.recompute,
            budget=seconds,
        )
        rate = sum(self._work(batch) for batch in batches) / speed.seconds
        per_step = estimate.flops_per_step / estimate.workers / rate
        total = estimate.total_steps * per_step + self._evaluation_seconds(rate) / estimate.workers
        return estimate.model_copy(update={"seconds_per_step": per_step, "total_seconds": total})

    def _measured_batches(self, choice: Choice, *, seconds: float) -> Sequence[MicroBatch]:
        """Some micro-batches of the first step, smaller and fewer where the machine is slow for the model."""
        layers = FEW + min(MORE, self.shape.config.num_hidden_layers)
        share = layers / self.shape.config.num_hidden_layers
        plan = self.plan(choice.tokens)
        per_token = (plan.work / plan.tokens) * share + 8 * self.shape.weights.head
        affordable = seconds / 2 * EXPECTED_SHARE * matrix_rate(self._backend.dtype) / per_token
        tokens = int(max(SHORTEST_MEASURED, min(choice.tokens, affordable)))
        packs = plan.packs if tokens == choice.tokens else self.plan(tokens).packs
        number = max(1, min(MAX_MEASURED, len(packs), int(affordable // tokens)))
        return [packs[index * (len(packs) - 1) // max(1, number - 1)] for index in range(number)]

    def _work(self, batch: MicroBatch) -> int:
        lengths = [length for count, length in batch.document_groups for _ in range(count)]
        return work_with(self.shape.weights, lengths, num_supervised=len(batch.rows)).total

    def _evaluation_seconds(self, rate: float) -> float:
        """All evaluations: before, after, and every so many steps."""
        every, subject = self._config.evaluation.every_steps, self._subject
        steps = num_training_steps(self._config.training, subject.num_samples)
        times = 2 + (0 if every is None else (steps - 1) // every)
        lengths = subject.samples.lengths.tolist()
        supervised = int(subject.samples.supervised.sum())
        once = work_with(self.shape.weights, lengths, num_supervised=supervised).total
        return times * FORWARD_SHARE * once * subject.num_held_out / len(lengths) / rate


def made_estimate(
    config: RunConfig, subject: Subject, limits: Limits, *, machine: Machine, seconds: float
) -> Estimate:
    """The estimate of a run on this machine; with 0 `seconds` of measurement, without times.

    Raises:
        RunError: what the configuration asks for is not there.
    """
    backend = choose_backend(config.runtime, precision=config.training.precision, machine=machine)
    return Estimator(config, subject, limits, backend=backend).estimate(seconds=seconds)


def _shape(config: RunConfig, subject: Subject, backend: Backend) -> Shape:
    lora, length = config.method.lora, config.training.max_sequence_length
    obstacle = fused_obstacle(backend, subject.model.config, lora=lora, max_length=length)
    shape = shape_of(
        subject.model,
        lora,
        engine="fused" if obstacle is None else "general",
        item_bytes=backend.dtype.itemsize,
        quantization=config.model.quantization,
    )
    if obstacle is None:
        return shape
    shape = shape._replace(proof=prove(subject.model))
    saved = saved_per_token(shape, lora, dtype=backend.dtype)
    return shape._replace(saved_per_token=saved.in_all, saved_by_layer=saved.by_layer)


def matrix_rate(dtype: torch.dtype, *, clock: Callable[[], float] = time.perf_counter) -> float:
    """Floating-point operations a second of one matrix product, by a few tries."""
    size = 1024
    matrix = torch.ones(size, size, dtype=dtype)
    times = []
    for _ in range(4):
        started = clock()
        torch.mm(matrix, matrix)
        times.append(clock() - started)
    return 2 * size**3 / min(times)
