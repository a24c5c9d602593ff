"""Threads and memory kills from control group files of both versions."""

import pytest

from llmfinetune_trainer.launcher.cgroups import cpu_limit, memory_limit, num_oom_kills, num_threads

V1 = {"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"cpu.max": "200000 100000\n"}, 2.0),
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, None),
        (V1, 1.5),
        ({**V1, "cpu/cpu.cfs_quota_us": "-1\n"}, None),
        ({}, None),
    ],
    ids=["v2", "v2 below one", "v2 without a limit", "v1", "v1 without a limit", "no control group"],
)
def test_cpu_limit(files: dict[str, str], limit: float | None) -> None:
    assert cpu_limit(files.get) == limit


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "4294967296\n"}, 4 << 30),
        ({"memory.max": "max\n"}, None),
        ({"memory/memory.limit_in_bytes": "2147483648\n"}, 2 << 30),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ({}, None),
    ],
    ids=["v2", "v2 without a limit", "v1", "v1 without a limit", "no control group"],
)
def test_memory_limit(files: dict[str, str], limit: int | None) -> None:
    assert memory_limit(files.get) == limit


@pytest.mark.parametrize(
    ("limit", "num_usable", "threads"),
    [(2.0, 64, 2), (1.5, 64, 2), (0.25, 64, 1), (None, 8, 8), (16.0, 4, 4)],
    ids=["the limit, not the host", "rounded up", "at least one", "no limit", "never more than usable"],
)
def test_threads(limit: float | None, num_usable: int, threads: int) -> None:
    assert num_threads(limit=limit, num_usable=num_usable) == threads


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        ({"memory.events": "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n"}, 1),
        ({"memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"}, 3),
        ({"memory.events": "oom_kill 0\n"}, 0),
        ({}, 0),
    ],
    ids=["v2", "v1", "none", "no control group"],
)
def test_memory_kills(files: dict[str, str], kills: int) -> None:
    assert num_oom_kills(files.get) == kills
