"""Who says how much memory a worker has: option, manifest, operator, control group, machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llmfinetune_trainer.estimate.limits import Limits, limits_of, machine_memory

GI = 1 << 30
MANIFEST = {"replicas": 3, "maxReplicas": 8, "resources": {"limits": {"memory": "4Gi", "cpu": "1500m"}}}
OPERATOR = {"LLMFINETUNE_WORKER_MEMORY": "3Gi"}
GROUP = {"memory.max": str(1 << 20)}


def limits(
    workers: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    *,
    memory: int | None = None,
) -> Limits:
    return limits_of(workers or {}, environment or {}, memory=memory, read=(files or {}).get)


@pytest.mark.parametrize(
    ("found", "memory", "source"),
    [
        (limits(MANIFEST, OPERATOR, GROUP, memory=5), 5, "--memory"),
        (limits(MANIFEST, OPERATOR, GROUP), 4 * GI, "spec.workers.resources.limits.memory"),
        (limits({}, OPERATOR, GROUP), 3 * GI, "spec.workers.resources.limits.memory"),
        (limits({}, {}, GROUP), 1 << 20, "the container's limit"),
        (limits(), machine_memory(), "this machine's memory"),
        (limits({}, {}, {"memory.max": str(1 << 50)}), machine_memory(), "this machine's memory"),
    ],
    ids=["option", "manifest", "operator", "control group", "machine", "a limit above the machine's memory"],
)
def test_the_one_that_knows_best_decides(found: Limits, memory: int, source: str) -> None:
    assert (found.memory, found.source) == (memory, source)


def test_workers_and_threads_come_from_the_manifest() -> None:
    found = limits(MANIFEST)
    assert (found.workers, found.max_workers, found.threads) == (3, 8, 1)


def test_threads_follow_the_request_where_there_is_no_limit() -> None:
    assert limits({"resources": {"requests": {"cpu": 2}}}).threads == 2


def test_the_machines_memory_is_read_in_bytes(tmp_path: Path) -> None:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:       24689144 kB\nMemFree:  1 kB\n")
    assert machine_memory(file) == 24689144 * 1024
