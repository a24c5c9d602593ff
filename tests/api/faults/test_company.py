"""Two operators at once, one of them frozen or killed in between: one job, one end."""

import os
import signal

import pytest

from tests.api.client import Json
from tests.api.faults.harm import harm
from tests.api.faults.life import live
from tests.api.faults.noted import recovery
from tests.api.faults.proxy import FaultProxy
from tests.api.faults.test_bad_answers import Latency
from tests.api.operator.conftest import StartOperator
from tests.api.operator.process import OperatorProcess
from tests.api.operator.test_training import replicas
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(300)]


@pytest.fixture
def pair(training_api: None, start_operator: StartOperator) -> tuple[OperatorProcess, OperatorProcess]:
    first, second = start_operator(name="first"), start_operator(name="second")
    return first, second


def uid(obj: Json | None) -> str | None:
    return obj["metadata"]["uid"] if obj else None


def test_two_operators_with_late_answers_run_one_job(
    pair: tuple[OperatorProcess, OperatorProcess], proxy: FaultProxy, world: World
) -> None:
    with harm(proxy, Latency()), recovery("two operators, answers late"):
        live(world)
        job = uid(world.get("pytorchjobs", "medical"))
        before = world.settled(quiet=4.0)
    writes = len(proxy.writes())
    assert world.settled(quiet=4.0) == before
    assert len(proxy.writes()) == writes
    assert uid(world.get("pytorchjobs", "medical")) == job
    assert len(world.list("pods")) == 2
    assert not [call for call in proxy.writes() if call.method == "DELETE"]


def test_an_operator_that_wakes_with_an_old_view_undoes_nothing_for_good(
    pair: tuple[OperatorProcess, OperatorProcess], world: World
) -> None:
    live(world)
    job = uid(world.get("pytorchjobs", "medical"))
    os.kill(pair[0].pid, signal.SIGSTOP)
    try:
        world.patch("llmfinetunes", "medical", {"spec": {"workers": {"replicas": 3}}})
        world.until(lambda: replicas(world) == 3)
    finally:
        os.kill(pair[0].pid, signal.SIGCONT)
    with recovery("one of two operators frozen"):
        world.settled(quiet=3.0)
    assert replicas(world) == 3
    assert uid(world.get("pytorchjobs", "medical")) == job


def test_when_one_of_two_is_killed_the_other_goes_on(
    pair: tuple[OperatorProcess, OperatorProcess], world: World
) -> None:
    world.create()
    pair[0].kill()
    with recovery("one of two operators killed"):
        world.finish_prepare()
        world.until(lambda: world.get("pytorchjobs", "medical"))
    assert len(world.list("pods")) == 1
