"""Lets faults happen to one fine-tune, one after another, and holds what comes of it against the promises."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from demo.kubectl import Object
from tests.chaos.fault import Change, Fault, broken_promise, missed_limit
from tests.chaos.observer import Observer
from tests.chaos.record import Record, record
from tests.chaos.scenario import Scenario
from tests.chaos.victim import TrainingEndedError, Victim
from tests.e2e.history import Samples, count_samples
from tests.e2e.manifests import fine_tune, merged
from tests.e2e.session import Session, phase, reached

MARGIN_STEPS = 40
GAP_STEPS = (3, 9)
"""Least and most steps before a fault: it is to strike at any place between two checkpoints."""
RECOVERY_SECONDS = 240.0
TELLING_SECONDS = 60.0
END_SECONDS = 900.0
SPEC: dict[str, Any] = {"checkpoint": {"everySteps": 5, "everySeconds": 0, "keep": 3}}


class Trial:
    """One run of training and the faults that happen to it."""

    def __init__(self, victim: Victim, rng: random.Random) -> None:
        self.victim = victim
        self._rng = rng
        self._injected: list[Record] = []

    def inject(self, fault: Fault) -> float:
        """Lets one fault happen and returns the seconds until work went on; more than promised are noted.

        Raises:
            AssertionError: a promise was broken; the message says which.
            TrainingEndedError: it was not injected, because too few steps are left.
        """
        try:
            self._arrange(fault)
            seconds = self._inject(fault)
        except TrainingEndedError:
            raise
        except Exception as error:
            record(Record(fault=fault.name, survived=False, why=str(error)))
            raise
        late = missed_limit(seconds, fault.limit_s)
        self._injected.append(
            Record(fault=fault.name, survived=not late, why=late, recovery_s=round(seconds, 2))
        )
        return seconds

    def finish(self) -> Samples:
        """Waits for success, notes the faults that training went on after, and returns how the samples count.

        Raises:
            AssertionError: training did not succeed.
        """
        try:
            samples = self._to_the_end()
        except Exception as error:
            for each in self._injected:
                record(replace(each, survived=False, why=each.why or str(error)))
            raise
        for each in self._injected:
            record(
                replace(
                    each,
                    survived=each.survived and samples == Samples(0, 0),
                    samples_lost=samples.lost,
                    samples_repeated=samples.repeated,
                )
            )
        return samples

    def _inject(self, fault: Fault) -> float:
        victim = self.victim
        before, moment = victim.get(), victim.moment()
        struck = datetime.fromtimestamp(moment.time, UTC)
        try:
            fault.inject(victim)
        finally:
            if fault.heal is not None:
                moment = moment._replace(time=victim.observer.now())
                fault.heal(victim)
        times: list[float] = []

        def is_back() -> bool:
            found = fault.back(victim, moment)
            times.extend([found] if found is not None else [])
            return found is not None

        victim.wait("work that goes on", is_back, timeout=RECOVERY_SECONDS)
        wrong = broken_promise(fault, victim.observer.timeline(), moment)
        assert not wrong, f"{fault.name}: {wrong}"
        victim.wait_for(
            "word of the fault in the status",
            lambda now: fault.told(Change(before, struck, now)),
            timeout=TELLING_SECONDS,
        )
        jobs = victim.namespace.get("pytorchjobs", "-l", f"llmfinetune.dev/name={victim.name}")["items"]
        assert len(jobs) == 1, f"{fault.name}: {len(jobs)} jobs"
        return times[-1] - moment.time

    def _arrange(self, fault: Fault) -> None:
        victim, workers = self.victim, fault.workers
        found = victim.get()
        if phase(found) in {"Succeeded", "Failed"}:
            raise TrainingEndedError(f"{victim.name} is {phase(found)}")
        if found["spec"]["workers"]["replicas"] != workers:
            victim.scale(workers)
        victim.wait(
            f"steps of {workers} workers",
            lambda: (
                bool(steps := victim.observer.timeline().steps)
                and (steps[-1].world_size == workers or steps[-1].step >= victim.total_steps)
            ),
        )
        fault.arrange(victim)
        victim.wait_for_steps(self._rng.randint(*GAP_STEPS))

    def _to_the_end(self) -> Samples:
        victim = self.victim
        victim.wait_for("success", lambda now: phase(now) in {"Succeeded", "Failed"}, timeout=END_SECONDS)
        assert phase(victim.get()) == "Succeeded", victim.get()["status"]
        return count_samples(victim.observer.read("logs/metrics.jsonl"), steps=victim.total_steps)


@contextmanager
def trial(session: Session, scenario: Scenario, *, seed: int) -> Iterator[Trial]:
    """Yields a run that trains, with steps enough for its faults; removed in the end."""
    place, steps = session.namespace, MARGIN_STEPS + sum(fault.steps for fault in scenario.faults)
    manifest = _manifest(scenario, steps=steps)
    with scenario.place(session), ExitStack() as stack:
        place.run("delete", "llmfinetune", scenario.name, "--ignore-not-found", timeout=200)
        place.apply(manifest)
        stack.callback(
            place.run, "delete", "llmfinetune", scenario.name, "--ignore-not-found", "--wait=false"
        )
        session.until(scenario.name, lambda found: reached(found) >= 1, what="a first step")
        observer = Observer.start(place, scenario.name, claim=scenario.claim)
        stack.callback(observer.stop)
        yield Trial(Victim(session, scenario.name, observer, manifest, steps), random.Random(seed))


def _manifest(scenario: Scenario, *, steps: int) -> Object:
    spec = merged(SPEC, {"training": {"maxSteps": steps}})
    manifest = fine_tune(scenario.name, **merged(spec, scenario.spec))
    if scenario.claim is not None:
        manifest["spec"]["storage"] = {"existingClaim": scenario.claim}
    return manifest
