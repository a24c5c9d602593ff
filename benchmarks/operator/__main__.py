"""`python -m benchmarks.operator`: measures the operator against its targets, prints a table, writes JSON."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.api.client import Kubectl
from tests.api.operator.process import REPOSITORY, OperatorProcess, eventually
from tests.api.operator.rights import install_rights

from benchmarks.operator.load import Load
from benchmarks.operator.node import simulated
from benchmarks.operator.processors import Moment, fixed_work_seconds
from devcluster.apiserver import ApiServer
from llmfinetune_operator.cluster import load_configuration

RESULT: Final = REPOSITORY / "build/bench/operator.json"
CRD: Final = REPOSITORY / "crds/llmfinetune.dev_llmfinetunes.yaml"
IDLE_SECONDS: Final = 20.0
QUIET_SECONDS: Final = 20.0
"""Longer than the periods of the controllers that bind volumes and look after nodes."""
MOST_ROUNDS: Final = 20
MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value beside its target."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the target is reached; a figure without one always is."""
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)

    def line(self) -> str:
        """Return a line of the table."""
        targets = ((">=", self.at_least), ("<=", self.at_most))
        target = next((f"{sign} {limit:g}" for sign, limit in targets if limit is not None), "")
        verdict = "" if not target else "ok" if self.is_met else "MISSED"
        return f"{self.name:<64} {self.value:>10.3f} {self.unit:<6} {target:>9}  {verdict}"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What is measured against."""

    admin: Path
    """Kubeconfig of an administrator."""
    installed: Path
    """Kubeconfig with the rights that the operator is installed with."""
    pids: Mapping[str, int]
    """Process ids by the program's name."""


def main() -> None:
    """Measure; end with status 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operator", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="fine-tunes to create (default: %(default)s)")
    parser.add_argument(
        "--kwok", action="store_true", help="let their pods run on a simulated node (default: no node)"
    )
    options = parser.parse_args()
    print(f"load average of the last minute before the start: {os.getloadavg()[0]:.1f}", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster(Path(folder), options) as found,
        OperatorProcess(found.installed, Path(folder) / "log") as operator,
    ):
        figures = asyncio.run(measured(operator, found, options.count))
    report(figures)
    sys.exit(0 if all(figure.is_met for figure in figures) else 1)


@contextmanager
def cluster(folder: Path, options: argparse.Namespace) -> Iterator[Cluster]:
    """Run what is measured against."""
    with ApiServer() as server:
        kubectl = Kubectl(server.kubectl, server.kubeconfig)
        kubectl("apply", "--server-side", "-f", str(CRD))
        # `kubectl wait` fails on a definition that has no condition yet.
        eventually(lambda: kubectl.run("get", "llmfinetunes").returncode == 0)
        # A token costs the API server less than a certificate, and is what an installed operator has.
        installed = install_rights(kubectl, "base", folder / "kubeconfig")
        with ExitStack() as stack:
            pids = server.pids
            if options.kwok:
                pids |= stack.enter_context(simulated(server, folder, num_volumes=options.count))
            yield Cluster(admin=server.kubeconfig, installed=installed, pids=pids)


async def measured(operator: OperatorProcess, found: Cluster, count: int) -> list[Figure]:
    """Return every figure, each printed as soon as it is known."""
    load = Load(await load_configuration(str(found.admin)))
    figures = []
    try:
        async for figure in measure(operator, load, {**found.pids, "this load": os.getpid()}, count):
            print(figure.line(), flush=True)
            figures.append(figure)
    finally:
        await load.close()
    return figures


async def measure(
    operator: OperatorProcess, load: Load, pids: Mapping[str, int], count: int
) -> AsyncIterator[Figure]:
    """Measure one figure after the other."""
    yield Figure(name="processor time of a fixed work", value=fixed_work_seconds(), unit="s")
    pids = {"operator": operator.pid, **pids}
    before, requests = Moment.now(pids), operator.num_requests()
    _, arrived = await asyncio.gather(load.create(count), load.wait_for_children(count))
    begun = Moment.now(pids)
    yield Figure(name=f"first children of {count} fine-tunes", value=arrived.rate, unit="1/s", at_least=30)
    for figure in processor_times(before, begun, count, when="until then"):
        yield figure
    share = 100 * begun.others_share(before)
    yield Figure(name="share of the machine that others took", value=share, unit="%")
    writes = await writes_while_idle(operator)
    # Measured before the last reconcile, the processor's share would depend on when that happens to be.
    for figure in processor_times(before, Moment.now(pids), count, when="in all"):
        yield figure
    yield Figure(name="requests for each", value=(operator.num_requests() - requests) / count, unit="")
    yield Figure(name="memory", value=operator.resident_bytes() / MEGABYTE, unit="MB", at_most=120)
    yield Figure(name=f"writes in {IDLE_SECONDS:g} s without a change", value=writes, unit="", at_most=0)
    reactions = await load.reactions(min(count, 200))
    yield Figure(name="spec to child, median", value=reactions.percentile(50), unit="s")
    yield Figure(name="spec to child, 99th percentile", value=reactions.percentile(99), unit="s", at_most=1)
    resident = operator.resident_bytes() / MEGABYTE
    yield Figure(name="memory at the end", value=resident, unit="MB", at_most=120)


def processor_times(before: Moment, after: Moment, count: int, *, when: str) -> list[Figure]:
    """Return what each fine-tune has cost each program, and all of them."""
    used = after.used_since(before)
    return [
        Figure(name=f"processor time for each {when}, {name}", value=1000 * seconds / count, unit="ms")
        for name, seconds in {**used, "all programs": sum(used.values())}.items()
    ]


async def writes_while_idle(operator: OperatorProcess) -> int:
    """Wait until the operator has settled, and return how many writes it sends although nothing changes."""
    known, settled = -1, operator.num_writes()
    for _ in range(MOST_ROUNDS):
        known, settled = settled, await writes_after(operator, QUIET_SECONDS)
        if known == settled:
            break
    return await writes_after(operator, IDLE_SECONDS) - settled


async def writes_after(operator: OperatorProcess, seconds: float) -> int:
    """Wait, and return how many writes there have been since the start."""
    await asyncio.sleep(seconds)
    return operator.num_writes()


def report(figures: list[Figure]) -> None:
    """Write the JSON."""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps([{**asdict(each), "met": each.is_met} for each in figures], indent=2))
    print(f"written to {RESULT.relative_to(REPOSITORY)}")


main()
