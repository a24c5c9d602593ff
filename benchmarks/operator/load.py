"""Makes fine-tunes in bulk and measures how the operator follows, from outside of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from kubernetes.aio.client import Configuration

from llmfinetune_operator.cluster import Connection
from llmfinetune_operator.cluster.paths import collection
from llmfinetune_operator.constants import API_VERSION, KIND

NAMESPACE: Final = "bench"
PARALLEL: Final = 16
JOBS: Final = collection("batch/v1", "Job", NAMESPACE)
CONFIG_MAPS: Final = collection("v1", "ConfigMap", NAMESPACE)
FINE_TUNES: Final = collection(API_VERSION, KIND, NAMESPACE)
GIVE_UP_SECONDS: Final = 60.0
"""How long nothing may happen."""
PROGRESS_LINES: Final = 5


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """How many fine-tunes got their first children, and in what time."""

    number: int
    seconds: float

    @property
    def rate(self) -> float:
        """Fine-tunes in a second."""
        return self.number / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, kw_only=True)
class Reactions:
    """Seconds from a change of a spec to the change of the child, sorted."""

    seconds: list[float]

    def percentile(self, percent: float) -> float:
        """Return the value below which that share of the reactions lies."""
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * percent / 100))]


class Load:
    """Creates, changes and counts, over connections of its own."""

    def __init__(self, configuration: Configuration) -> None:
        self._connection = Connection(configuration)

    async def close(self) -> None:
        """Close every connection."""
        await self._connection.close()

    async def create(self, count: int) -> None:
        """Create the namespace and that many fine-tunes."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        await self._connection.request("POST", "/api/v1/namespaces", body=namespace)
        await in_parallel(lambda number: self._create_one(number), count)

    async def wait_for_children(self, count: int) -> Arrivals:
        """Wait until every fine-tune has its prepare Job, or until there is no further one for long."""
        started = moved = time.monotonic()
        arrived = said = 0
        while arrived < count and time.monotonic() - moved < GIVE_UP_SECONDS:
            # To count costs the API server far more than to create: seldom until the last are near.
            await asyncio.sleep(1.0 if arrived < 0.9 * count else 0.1)
            known, arrived = arrived, await self._count(JOBS)
            moved = time.monotonic() if arrived > known else moved
            if arrived >= said + count // PROGRESS_LINES:
                said = arrived
                print(f"  {arrived} of {count} after {moved - started:.1f} s", flush=True)
        return Arrivals(number=arrived, seconds=moved - started)

    async def reactions(self, count: int) -> Reactions:
        """Change `count` fine-tunes, a few at a time, and measure when their configuration follows."""
        seconds: list[float] = []

        async def one(number: int) -> None:
            seconds.append(await self._reaction(number))

        await in_parallel(one, count, parallel=4)
        return Reactions(seconds=sorted(seconds))

    async def _create_one(self, number: int) -> None:
        spec: dict[str, Any] = {
            "model": {"source": "hf://owner/model"},
            "dataset": {"source": "hf://owner/data"},
            "method": {"lora": {}},
        }
        metadata = {"name": f"ft-{number}", "namespace": NAMESPACE}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
        await self._connection.request("POST", FINE_TUNES, body=body)

    async def _count(self, path: str) -> int:
        answer = await self._connection.request("GET", path, query={"limit": "1"})
        return len(answer["items"]) + int(answer["metadata"].get("remainingItemCount") or 0)

    async def _reaction(self, number: int) -> float:
        path = f"{CONFIG_MAPS}/ft-{number}-run"
        before = (await self._connection.request("GET", path))["data"]
        started = time.monotonic()
        await self._connection.request(
            "PATCH",
            f"{FINE_TUNES}/ft-{number}",
            body={"spec": {"checkpoint": {"everySteps": 77}}},
            content_type="application/merge-patch+json",
        )
        while (await self._connection.request("GET", path))["data"] == before:
            if time.monotonic() - started > GIVE_UP_SECONDS:
                raise TimeoutError(f"ft-{number}: the configuration never followed the spec")
            await asyncio.sleep(0.01)
        return time.monotonic() - started


async def in_parallel(one: Callable[[int], Awaitable[None]], count: int, *, parallel: int = PARALLEL) -> None:
    """Call `one` with 0 to `count - 1`, `parallel` calls at a time."""
    numbers = iter(range(count))

    async def run() -> None:
        for number in numbers:
            await one(number)

    await asyncio.gather(*(run() for _ in range(parallel)))
