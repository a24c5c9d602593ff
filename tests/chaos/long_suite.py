"""The long suite: what needs no cluster, and every scenario on the cluster, with progress shown."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from demo.cluster import chosen_provider
from devcluster.errors import DevClusterError
from tests.chaos import namespace_deleted
from tests.chaos.scenario import ALL_NAMES, SCENARIOS, Scenario
from tests.chaos.tests_without_cluster import API, HISTORIES, WITHOUT_CLUSTER, PytestRun
from tests.chaos.trial import trial
from tests.chaos.victim import TrainingEndedError
from tests.e2e.place import opened
from tests.e2e.session import Session

NAMESPACE = "llmfinetune-chaos"
BROKEN = (AssertionError, DevClusterError)
"""What tells that a fault was not survived: a promise broken, or something that did not happen in time."""


def names_here() -> list[str]:
    """Names of what can be injected into the cluster that is meant."""
    if chosen_provider().name == "embedded":
        return list(ALL_NAMES)
    faults = (fault for scenario in SCENARIOS for fault in scenario.faults)
    impossible = {fault.name for fault in faults if fault.embedded_only}
    return [name for name in ALL_NAMES if name not in impossible]


class Suite:
    """Injects faults, each a number of times."""

    def __init__(self, times: Mapping[str, int], *, seed: int) -> None:
        self._times = times
        self._seed = seed
        self._rng = random.Random(seed)
        self._started = time.monotonic()
        self.is_whole = True
        """Whether nothing went wrong so far, be it in a fault or between them."""

    def run(self) -> None:
        """Runs everything; what fails is noted, and does not stop the rest."""
        self._without_cluster(HISTORIES)
        on_cluster = [num for name, num in self._times.items() if name not in WITHOUT_CLUSTER]
        rounds = max(on_cluster, default=0)
        if rounds:
            with opened(NAMESPACE) as session:
                for number in range(1, rounds + 1):
                    self._say(f"round {number} of {rounds}")
                    self._round(session, number)
        self._without_cluster(API)

    def _round(self, session: Session, number: int) -> None:
        for scenario in SCENARIOS:
            faults = tuple(fault for fault in scenario.faults if self._is_due(fault.name, number))
            if faults:
                with self._reported(scenario.name):
                    self._scenario(session, replace(scenario, faults=faults))
        if self._is_due(namespace_deleted.NAME, number):
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
        elif left:
            self._say(f"{scenario.name}: ended before a fault was injected; {len(left)} were not")

    @contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        try:
            yield
        except BROKEN as error:
            self.is_whole = False
            self._say(f"{name}: NOT SURVIVED: {error}")

    def _without_cluster(self, tests: PytestRun) -> None:
        for _ in range(self._times.get(tests.name, 0)):
            self._say(tests.name)
            self.is_whole &= tests.run(seed=self._seed)

    def _is_due(self, name: str, number: int) -> bool:
        return self._times.get(name, 0) >= number

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._started:6.0f} s  {text}", flush=True)
