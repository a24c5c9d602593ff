"""Memory of one training process by part, from its shape and the rows of its largest micro-batch. Pure.

What a worker's limit has to hold is the sum: nothing of it is given back while training runs, because buffers
stay for the next micro-batch.
"""

from typing import NamedTuple

from llmfinetune_trainer.engine.fused.memory import Buffers, buffers_of
from llmfinetune_trainer.engine.loss import CHUNK_ROWS
from llmfinetune_trainer.estimate.shape import Shape

LIBRARIES = 690 << 20
"""Python with torch, transformers and peft loaded, their code included."""
WARM = 50 << 20
"""What the first products leave behind: compiled kernels, threads, the allocator's remainders."""
AGENT = 330 << 20
"""The launcher and torchrun's agent, beside the training process in a pod."""
MASTER_BYTES = 8
"""32-bit master and gradient of an adapter's weight."""
OPTIMIZER_BYTES = 16
"""Both moments, and two values in passing while a step is taken."""
CHECKPOINT_BYTES = 16
"""The copy that is written while training goes on: master and moments, and the file in the making."""

FRAGMENTED = 0.5
"""Of what autograd keeps: more that the allocator holds, because the next micro-batch's tensors have other
sizes and do not fit into what is free. Measured, on glibc."""
USUAL_WIDTH = 4
"""Times the hidden size, where an architecture does not say how wide its widest layer is."""


class Memory(NamedTuple):
    """Bytes by part."""

    libraries: int
    base: int
    """Weights of the frozen model."""
    adapters: int
    """Adapters with masters and gradients."""
    optimizer: int
    """Moments, and the copy that a checkpoint is written from."""
    activations: int
    """What the forward pass leaves for the backward pass."""
    work: int
    """What all layers take turns with."""
    logits: int
    """One chunk of the output layer."""
    data: int
    """Prepared data, mapped."""
    agent: int
    """Processes beside the training process."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def memory_of(shape: Shape, *, rows: int, recompute: bool, data: int, in_pod: bool) -> Memory:
    """Memory of one process.

    Args:
        shape: the model with its adapters.
        rows: tokens that the largest micro-batch computes.
        recompute: whether activations are computed again in the backward pass.
        data: bytes of the prepared data.
        in_pod: whether a launcher runs beside it.
    """
    adapters = shape.weights.adapters
    buffers = _fused(shape, rows, recompute) if shape.engine == "fused" else _general(shape, rows, recompute)
    return Memory(
        libraries=LIBRARIES + WARM,
        base=shape.base_bytes,
        adapters=adapters * (MASTER_BYTES + shape.item_bytes),
        optimizer=adapters * (OPTIMIZER_BYTES + CHECKPOINT_BYTES),
        activations=buffers.saved,
        work=buffers.work,
        logits=buffers.logits,
        data=data,
        agent=AGENT if in_pod else 0,
    )


def _fused(shape: Shape, rows: int, recompute: bool) -> Buffers:
    buffers = buffers_of(
        shape.config,
        rows=rows,
        targets=shape.targets,
        rank=shape.rank,
        recompute=recompute,
        item_bytes=shape.item_bytes,
    )
    if not shape.has_dropout:
        return buffers
    dropped = rows * max(shape.config.hidden_size, shape.config.intermediate_size) * shape.item_bytes
    return buffers._replace(work=buffers.work + dropped)


def _general(shape: Shape, rows: int, recompute: bool) -> Buffers:
    """Autograd's own: what it keeps, gradients of the widest layer in passing, logits with two copies of them
    in 32 bits. What is computed again is each layer from its input, one at a time."""
    inputs = shape.config.num_hidden_layers * shape.config.hidden_size * shape.item_bytes
    saved = inputs + shape.saved_by_layer if recompute else shape.saved_per_token
    widest = getattr(shape.config, "intermediate_size", None) or USUAL_WIDTH * shape.config.hidden_size
    return Buffers(
        saved=int(rows * saved * (1.0 + FRAGMENTED)),
        work=rows * 8 * widest * shape.item_bytes,
        logits=(min(rows, CHUNK_ROWS) if shape.proof.head else rows)
        * shape.config.vocab_size
        * (8 + shape.item_bytes),
    )
