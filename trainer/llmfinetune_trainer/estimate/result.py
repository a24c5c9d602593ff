"""The estimate as a value: what the command prints, the prepare Job keeps and the status shows."""

import math

from pydantic import Field

from llmfinetune_trainer.config.base import Message
from llmfinetune_trainer.config.messages import Count, EstimateFacts, Short
from llmfinetune_trainer.config.quantity import memory_text
from llmfinetune_trainer.errors import RunError, user_error
from llmfinetune_trainer.estimate.choice import ROOM, TOLERANCE


class Part(Message):
    """One part of a worker's memory."""

    name: Short
    bytes: Count


class Estimate(Message):
    """What a run will need."""

    engine: Short
    """Path of the engine."""
    precision: Short
    memory: list[Part]
    """A worker's memory by part."""
    limit_bytes: Count
    limit_source: Short
    """Where the limit comes from."""
    least_bytes: Count
    """Memory with the smallest micro-batches."""
    micro_batch_tokens: Count
    """Most tokens that a worker computes at once."""
    recompute: bool
    """Whether activations are computed again in the backward pass."""
    micro_batches: float
    """Micro-batches of a worker in a step, on average."""
    workers: int
    """Workers that the times are for."""
    recommended_workers: int
    """The most workers that each still have a full micro-batch in a step."""
    tokens_per_step: float
    supervised_per_step: float
    flops_per_step: float
    """Floating-point operations of a step, over all workers."""
    total_steps: Count
    seconds_per_step: float | None = None
    """None where nothing was measured."""
    total_seconds: float | None = None
    """Steps and evaluations; fetching, loading and writing not counted."""
    threads: int = Field(ge=1)
    """Processors that the measurement used."""

    @property
    def memory_bytes(self) -> int:
        """A worker's memory."""
        return sum(part.bytes for part in self.memory)

    def facts(self) -> EstimateFacts:
        """The short form, for the status."""
        return EstimateFacts(
            memory=memory_text(self.memory_bytes),
            memory_limit=memory_text(self.limit_bytes),
            micro_batch_tokens=self.micro_batch_tokens,
            recompute=self.recompute,
            workers=self.workers,
            seconds_per_step=None if self.seconds_per_step is None else f"{self.seconds_per_step:.2f}",
            total_seconds=None if self.total_seconds is None else math.ceil(self.total_seconds),
            recommended_workers=self.recommended_workers,
        )

    @property
    def is_too_small(self) -> bool:
        """Whether the limit surely cannot hold what is needed at least."""
        return self.least_bytes * (1.0 - TOLERANCE) > self.limit_bytes

    def check_fits(self) -> None:
        """Refuses a limit that surely is too small.

        Raises:
            RunError: with the numbers and what to change.
        """
        if self.is_too_small:
            raise _too_small(self)


def _too_small(estimate: Estimate) -> RunError:
    parts = ", ".join(f"{part.name} {memory_text(part.bytes)}" for part in estimate.memory if part.bytes)
    enough = memory_text(math.ceil(estimate.least_bytes / ROOM))
    return user_error(
        "InsufficientMemory",
        f"{estimate.limit_source} allows {memory_text(estimate.limit_bytes)}, but a worker needs about "
        f"{memory_text(estimate.least_bytes)} with micro-batches of {estimate.micro_batch_tokens} tokens"
        f"{' and activations computed again' if estimate.recompute else ''} ({parts})",
        hint=f"set spec.workers.resources.limits.memory to {enough} or more, leave runtime.microBatchTokens "
        "out, set model.quantization to int8 or nf4, lower training.maxSequenceLength or method.lora.rank, "
        "or choose a smaller model",
    )
