"""A worker's memory and processors, and how many workers there are: as told, else as found."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llmfinetune_trainer.config.layout import ENV_WORKER_MEMORY
from llmfinetune_trainer.config.quantity import quantity
from llmfinetune_trainer.launcher import cgroups

SPEC = "spec.workers.resources.limits.memory"


class Limits(NamedTuple):
    """What there is."""

    memory: int
    """Bytes of one worker."""
    source: str
    """Where the memory comes from, for messages."""
    workers: int = 1
    max_workers: int = 999
    threads: int | None = None
    """Processors of one worker, where they are told."""

    @property
    def is_of_pod(self) -> bool:
        """Whether they are a worker pod's, in which a launcher runs too."""
        return self.source == SPEC


def limits_of(
    workers: Mapping[str, Any], environment: Mapping[str, str], *, memory: int | None, read: cgroups.Read
) -> Limits:
    """Limits by what knows best: an option, the manifest, the operator, the control group, the machine.

    Args:
        workers: `spec.workers` of the manifest; empty where there is none.
        environment: the process's variables.
        memory: bytes that the caller names.
        read: reads the control group's files.
    """
    resources = workers.get("resources") or {}
    limit, request = resources.get("limits") or {}, resources.get("requests") or {}
    told = _whole(limit.get("memory"))
    by_operator = _whole(environment.get(ENV_WORKER_MEMORY))
    in_group, machine = cgroups.memory_limit(read), machine_memory()
    sources = (
        (memory, "--memory"),
        (told, SPEC),
        (by_operator, SPEC),
        (in_group if in_group and in_group < machine else None, "the container's limit"),
        (machine, "this machine's memory"),
    )
    chosen, source = next((value, name) for value, name in sources if value)
    replicas = int(workers.get("replicas") or 1)
    return Limits(
        memory=chosen,
        source=source,
        workers=replicas,
        max_workers=int(workers.get("maxReplicas") or 999),
        threads=_whole(limit.get("cpu") or request.get("cpu")),
    )


def machine_memory(path: Path = Path("/proc/meminfo")) -> int:
    """Bytes of this machine's memory."""
    fields = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return next(int(field[1]) for field in fields if field[0] == "MemTotal:") * 1024


def worker_limits(environment: Mapping[str, str] = os.environ) -> Limits:
    """Limits of this process, as a worker."""
    return limits_of({}, environment, memory=None, read=cgroups.read_file)


def _whole(text: object) -> int | None:
    value = quantity(text)
    return None if value is None else max(1, int(value))
