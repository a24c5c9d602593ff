"""The long suite: every scenario on the cluster, then the faults of the API server, with progress shown."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from demo.cluster import chosen_provider
from devcluster.errors import DevClusterError
from tests.chaos import namespace_deleted
from tests.chaos.record import Record, record
from tests.chaos.scenario import SCENARIOS, Scenario
from tests.chaos.trial import trial
from tests.chaos.victim import TrainingEndedError
from tests.e2e.place import REPOSITORY, opened
from tests.e2e.session import Session

NAMESPACE = "llmfinetune-chaos"
BROKEN = (AssertionError, DevClusterError)
"""What tells that a fault was not survived: a promise broken, or something that did not happen in time."""


class Suite:
    """Runs what was asked for."""

    def __init__(self, *, only: frozenset[str], rng: random.Random) -> None:
        self._only = only
        self._rng = rng
        self._started = time.monotonic()

    def run(self, *, rounds: int, with_api: bool) -> None:
        """Runs everything; what fails is noted in the records and does not stop the rest."""
        scenarios = [chosen for scenario in SCENARIOS if (chosen := self._chosen(scenario)).faults]
        if scenarios or self._wants(namespace_deleted.NAME):
            with opened(NAMESPACE) as session:
                for number in range(1, rounds + 1):
                    self._say(f"round {number} of {rounds}")
                    self._round(session, scenarios)
        if with_api:
            self._api_faults()

    def _round(self, session: Session, scenarios: list[Scenario]) -> None:
        for scenario in scenarios:
            with self._reported(scenario.name):
                self._scenario(session, scenario)
        if self._wants(namespace_deleted.NAME):
            with self._reported(namespace_deleted.NAME):
                seconds = namespace_deleted.namespace_deleted(session)
                self._say(f"{namespace_deleted.NAME}: gone after {seconds:.1f} s")

    def _scenario(self, session: Session, scenario: Scenario) -> None:
        """Makes one run, and another one for the faults that it had no steps left for."""
        self._say(f"{scenario.name}: preparing a run for {len(scenario.faults)} faults")
        left = list(scenario.faults)
        with trial(session, scenario, seed=self._rng.randrange(2**32)) as running:
            with suppress(TrainingEndedError):
                while left:
                    with self._reported(left[0].name):
                        self._say(f"  {left[0].name}: back after {running.inject(left[0]):.1f} s")
                    del left[0]
            samples = running.finish()
        self._say(f"{scenario.name}: succeeded; samples lost {samples.lost}, repeated {samples.repeated}")
        if left and len(left) < len(scenario.faults):
            self._scenario(session, replace(scenario, faults=tuple(left)))

    @contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        try:
            yield
        except BROKEN as error:
            self._say(f"{name}: NOT SURVIVED: {error}")

    def _api_faults(self) -> None:
        self._say("faults of the API server: tests/api/faults")
        options = ("tests/api/faults", "-m", "", "-q", "-p", "no:cacheprovider")
        command = [sys.executable, "-m", "pytest", *options]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode != 0:
            record(Record(fault="some of tests/api/faults", survived=False))

    def _chosen(self, scenario: Scenario) -> Scenario:
        has_machine = chosen_provider().name == "embedded"
        possible = (fault for fault in scenario.faults if has_machine or not fault.embedded_only)
        return replace(scenario, faults=tuple(fault for fault in possible if self._wants(fault.name)))

    def _wants(self, name: str) -> bool:
        return not self._only or name in self._only

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._started:6.0f} s  {text}", flush=True)
