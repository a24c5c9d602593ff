"""Starts the cluster's programs, watches them become ready, and ends them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.embedded.services import Service
from devcluster.errors import DevClusterError
from devcluster.layout import Layout
from devcluster.processes import Process, Registry, start
from devcluster.waiting import wait_until

READY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Keeps one record a running program; a program that runs already is left alone."""

    layout: Layout

    @property
    def registry(self) -> Registry:
        """The processes that run."""
        return Registry(self.layout.processes)

    def is_running(self, name: str) -> bool:
        """Say whether a program runs."""
        return self.registry.find(name) is not None

    def run(self, service: Service) -> None:
        """Start a program unless it runs, record it, and return when it is ready."""
        running = self.registry.find(service.name)
        log = self.layout.logs / f"{service.name}.log"
        process = running or start(service.name, service.command(), log=log, env=service.env)
        self.registry.record(process)
        wait_until(
            f"{service.name} is ready",
            service.is_ready,
            timeout=READY_SECONDS,
            interval=0.05,
            hint=log_hint(service.name),
            check=lambda: raise_if_ended(process, log),
        )

    def restart(self, name: str, services: Sequence[Service]) -> None:
        """End one of the programs and start it again."""
        known = {service.name: service for service in services}
        if name not in known:
            raise DevClusterError(f"no program is called {name!r}", hint=f"one of: {', '.join(known)}")
        self.registry.stop(name)
        self.run(known[name])

    def stop_all(self, services: Sequence[Service]) -> None:
        """End every program: extras first, then the known ones against the order of their start."""
        known = [service.name for service in services]
        extras = [process.name for process in self.registry.all_running() if process.name not in known]
        for name in (*extras, *reversed(known)):
            self.registry.stop(name)


def raise_if_ended(process: Process, log: Path) -> None:
    """Raise with the end of its log when a program that should run has ended."""
    if not process.is_alive():
        time.sleep(0.1)  # its last words may still be on their way to the file
        last = log.read_text(errors="replace")[-3000:]
        raise DevClusterError(f"{process.name} ended:\n{last}", hint=log_hint(process.name))


def log_hint(name: str) -> str:
    """Return where to look when a program makes trouble."""
    return f"python3 -m devcluster logs {name}"
