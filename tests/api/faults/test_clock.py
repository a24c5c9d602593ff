"""The operator's clock is set while workers train: nothing ends of it, and everything goes on at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llmfinetune_operator.times import parse_time
from tests.api.faults.life import live
from tests.api.faults.moved_clock import MovedClock
from tests.api.faults.noted import recovery
from tests.api.faults.proxy import FaultProxy
from tests.api.faults.test_company import uid
from tests.api.operator.conftest import StartOperator
from tests.api.operator.process import OperatorProcess
from tests.api.operator.test_reporting import accepted, report_of, token_of
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(300)]


@pytest.fixture
def clock(tmp_path: Path) -> MovedClock:
    return MovedClock(tmp_path / "clock")


@pytest.fixture
def operator(training_api: None, start_operator: StartOperator, clock: MovedClock) -> OperatorProcess:
    return start_operator(module="tests.api.faults.moved_clock", env=clock.environment)


def train(operator: OperatorProcess, world: World, *, step: int) -> None:
    """Play the trainer: it has done a step, and the status comes to say so."""
    pod = world.get("pods", "medical-worker-0")
    assert pod is not None
    report = report_of(pod, phase="Training", step=step, totalSteps=10, loss=2.0)
    accepted(operator, world, token_of(world, pod), report)
    world.until(lambda: world.status().get("progress", {}).get("step") == step)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        pytest.param(timedelta(days=-1), "back by a day", id="a day back"),
        pytest.param(timedelta(days=365), "forward by a year", id="a year forward"),
    ],
)
def test_a_clock_that_is_set_ends_nothing_and_delays_nothing(
    operator: OperatorProcess,
    clock: MovedClock,
    proxy: FaultProxy,
    world: World,
    ahead: timedelta,
    words: str,
) -> None:
    live(world)
    train(operator, world, step=1)
    job = uid(world.get("pytorchjobs", "medical"))
    clock.set(ahead)
    with recovery(f"clock set {words}"):
        world.delete("configmaps", "medical-run")
        world.until(lambda: world.get("configmaps", "medical-run"))
        train(operator, world, step=2)
    told = parse_time(world.status()["activeTime"])
    assert told is not None
    assert abs(told - datetime.now(UTC) - ahead) < timedelta(hours=1), "the operator has another clock"
    before, writes = world.settled(), len(proxy.writes())
    assert world.settled(quiet=4.0) == before
    assert len(proxy.writes()) == writes
    assert uid(world.get("pytorchjobs", "medical")) == job
    assert world.status()["phase"] == "Training"
    assert operator.get("/healthz")[0] == 200
