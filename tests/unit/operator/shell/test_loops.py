"""The loops around the reconciler: what ends them, what they survive, what they ask for next."""

import asyncio
import math

import pytest

from llmfinetune_operator.errors import ApiError, ConflictError, UnavailableError
from llmfinetune_operator.metrics import Metrics
from llmfinetune_operator.observed import Key
from llmfinetune_operator.queue import WorkQueue
from llmfinetune_operator.supervise import TaskEndedError, run_until_stopped
from llmfinetune_operator.training_api import TrainingApi
from llmfinetune_operator.workers import Workers
from tests.unit.operator.queue.clock import FakeClock

KEY = Key("ml", "medical")


class World:
    """Workers whose reconciles end as they are told, one after the other."""

    def __init__(self, *ends: float | Exception | None) -> None:
        self.clock = FakeClock()
        self.queue: WorkQueue[Key] = WorkQueue(clock=self.clock, random=lambda: 0.0)
        self.metrics = Metrics()
        self.forgotten: list[Key] = []
        self._ends = list(ends)
        self.workers = Workers(
            queue=self.queue,
            reconcile=self.reconcile,
            metrics=self.metrics,
            forget=self.forgotten.append,
            resync_seconds=100.0,
            random=lambda: 0.0,
        )

    async def reconcile(self, key: Key) -> float | None:
        end = self._ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    async def work(self) -> None:
        """Work on one key."""
        self.queue.add(KEY)
        task = asyncio.create_task(self.workers.work())
        await asyncio.sleep(0.01)
        task.cancel()

    def count(self, result: str) -> float:
        return float(
            self.metrics.registry.get_sample_value("llmfinetune_operator_reconcile_total", {"result": result})
            or 0
        )


@pytest.mark.parametrize(
    ("end", "result", "due"),
    [
        pytest.param(math.inf, "ok", 100.0, id="nothing to wait for: the resync"),
        pytest.param(7.0, "ok", 7.0, id="an earlier look"),
        pytest.param(ConflictError("changed", what="PUT"), "conflict", 0.2, id="a conflict"),
        pytest.param(UnavailableError("gone", what="GET"), "api_error", 0.2, id="no API server"),
        pytest.param(
            ApiError("slow down", what="GET", status=429, retry_after=9.0),
            "api_error",
            9.0,
            id="told to wait",
        ),
        pytest.param(ZeroDivisionError(), "error", 0.2, id="a defect"),
    ],
)
async def test_whatever_a_reconcile_ends_with_the_next_one_is_planned(
    end: float | Exception, result: str, due: float
) -> None:
    world = World(end)
    await world.work()
    assert world.count(result) == 1
    assert (len(world.queue), world.queue.age()) == (0, 0.0), "no worker holds it"
    world.clock.advance(due - 0.01)
    assert len(world.queue) == 0
    world.clock.advance(0.02)
    assert len(world.queue) == 1
    assert world.forgotten == []


async def test_a_fine_tune_that_is_gone_is_never_looked_at_again_until_something_names_it() -> None:
    world = World(7.0, UnavailableError("gone", what="GET"), None, math.inf)
    await world.work()
    await world.work()
    await world.work()
    assert (world.count("ok"), world.forgotten) == (2, [KEY])
    world.clock.advance(1000.0)
    assert len(world.queue) == 0
    await world.work()
    world.clock.advance(100.0)
    assert len(world.queue) == 1, "one of the same name"


async def forever() -> None:
    await asyncio.Event().wait()


async def test_told_to_stop_it_drains_and_cancels() -> None:
    stop, drained = asyncio.Event(), []

    async def drain() -> None:
        drained.append(True)

    stop.set()
    await run_until_stopped({"a": forever()}, stop, drain=drain)
    assert drained == [True]


async def fails() -> None:
    raise ZeroDivisionError


async def ends() -> None:
    return


@pytest.mark.parametrize("task", [fails, ends])
async def test_a_task_that_ends_ends_the_process(task: object, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TaskEndedError, match="watches"):
        await run_until_stopped({"watches": task(), "b": forever()}, asyncio.Event(), drain=ends)  # type: ignore[operator]
    assert ("failed" in caplog.text) == (task is fails)


class Discovery:
    def __init__(self) -> None:
        self.has = True

    async def has_training_api(self) -> bool:
        return self.has


async def test_a_kind_that_comes_and_goes_is_told_once_each() -> None:
    discovery = Discovery()
    told: list[bool] = []
    api = TrainingApi(discovery, changed=told.append)
    await api.refresh()
    discovery.has = False
    await api.refresh()
    await api.refresh()
    assert (api.available, told) == (False, [False])
    discovery.has = True
    await api.refresh()
    assert (api.available, told) == (True, [False, True])
