"""The ranks of a run: who they are, and the few collectives they need."""

import datetime as dt
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

import torch.distributed as dist
from torch import Tensor

from llmfinetune_trainer.errors import network_error

Communication = Literal["ccl", "gloo", "nccl", "xccl", "none"]
TIMEOUT = dt.timedelta(minutes=15)
"""How long a rank waits for the slowest one, loading a large model from a slow volume included."""
FIRST_TIMEOUT = dt.timedelta(days=1)
"""How long the others wait for what the first rank does alone, such as merging a large model. One that died
is noticed at once, by its closed connection; one that gets nowhere, by the operator."""

T = TypeVar("T")


class Ranks(Protocol):
    """All processes of a run, seen from one of them."""

    @property
    def rank(self) -> int:
        """This process, from 0."""

    @property
    def world_size(self) -> int:
        """How many there are."""

    @property
    def communication(self) -> Communication:
        """What carries the collectives."""

    def sum(self, tensor: Tensor) -> None:
        """Replaces the tensor on every rank by its sum over the ranks."""

    def from_first(self, compute: Callable[[], T]) -> T:
        """What `compute` returns on rank 0, on every rank, however long it takes."""

    def barrier(self) -> None:
        """Waits for every rank."""


class Alone:
    """One process."""

    rank = 0
    world_size = 1
    communication: Communication = "none"

    def sum(self, tensor: Tensor) -> None:
        """Nothing to add."""

    def from_first(self, compute: Callable[[], T]) -> T:
        """See `Ranks`."""
        return compute()

    def barrier(self) -> None:
        """Nobody to wait for."""


class ProcessGroup:
    """The default process group of torch.distributed, and one beside it that waits longer.

    DistributedDataParallel is not used: it would reduce every adapter matrix of every micro-batch through
    hooks and buckets of its own, average over ranks, and hold the model in a wrapper; one flat sum a step is
    all that is needed.
    """

    def __init__(self, communication: Communication) -> None:
        self.communication = communication
        self.rank = dist.get_rank()
        self.world_size = dist.get_world_size()
        with _losing_peers():
            self._patient = dist.new_group(backend="gloo", timeout=FIRST_TIMEOUT)

    def sum(self, tensor: Tensor) -> None:
        """See `Ranks`."""
        with _losing_peers():
            dist.all_reduce(tensor)

    def from_first(self, compute: Callable[[], T]) -> T:
        """See `Ranks`."""
        box: list[Any] = [compute() if self.rank == 0 else None]
        with _losing_peers():
            dist.broadcast_object_list(box, src=0, group=self._patient)
        result: T = box[0]
        return result

    def barrier(self) -> None:
        """See `Ranks`."""
        with _losing_peers():
            dist.barrier()


@contextmanager
def joined(communication: Communication) -> Iterator[Ranks]:
    """Joins the ranks that torchrun's environment variables describe; alone where there is only one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Alone()
        return
    with _losing_peers():
        dist.init_process_group(_backends(communication), timeout=TIMEOUT)
    try:
        yield ProcessGroup(communication)
    finally:
        dist.destroy_process_group()


def _backends(communication: Communication) -> str:
    """In torch's words. What ranks agree on lies in main memory, out of reach of an accelerator's library."""
    devices = {"nccl": "cuda", "xccl": "xpu"}
    device = devices.get(communication)
    return communication if device is None else f"cpu:gloo,{device}:{communication}"


@contextmanager
def _losing_peers() -> Iterator[None]:
    try:
        yield
    except (
        RuntimeError,
        ConnectionError,
    ) as error:  # what gloo and the store raise when another rank is gone
        message = str(error).splitlines()[0]
        raise network_error(
            "PeersLost",
            f"lost the connection to the other workers: {message}",
            hint="nothing to do: training goes on from the newest checkpoint when the workers meet again",
        ) from error
