"""An API server that refuses, throttles and delays: everything comes in the end, and comes once."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from devcluster.apiserver import ApiServer
from tests.api.faults.harm import Refusals, harm
from tests.api.faults.life import live, remains
from tests.api.faults.noted import recovery
from tests.api.faults.proxy import Call, FaultProxy, Forward
from tests.api.operator.conftest import NewWorld, StartOperator
from tests.api.operator.process import OperatorProcess, eventually
from tests.api.operator.test_children import AT_FIRST, first_children
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(300)]
SOON = {"LLMFINETUNE_REFUSED_RETRY_SECONDS": "1"}


@pytest.fixture
def operator(training_api: None, start_operator: StartOperator) -> OperatorProcess:
    return start_operator(env=SOON)


@pytest.mark.parametrize(
    ("status", "retry_after"),
    [
        pytest.param(429, 1, id="too many requests"),
        pytest.param(500, 0, id="an internal error"),
        pytest.param(503, 1, id="unavailable"),
        pytest.param(504, 0, id="a gateway's time-out"),
        pytest.param(409, 0, id="conflicts"),
    ],
)
def test_a_burst_of_refused_writes_delays_and_doubles_nothing(
    operator: OperatorProcess, proxy: FaultProxy, world: World, status: int, retry_after: int
) -> None:
    refusals = Refusals(status, times=4, chosen=lambda call: call.is_write, retry_after=retry_after)
    with harm(proxy, refusals), recovery(f"burst of {status}"):
        world.create()
        world.until(lambda: world.children().keys() == AT_FIRST)
        world.until(lambda: world.status().get("phase") and "failure" not in world.status())
    assert refusals.left == 0
    assert operator.get("/healthz")[0] == 200
    assert len(world.list("pods")) == 1


def test_an_api_server_that_refuses_everything_at_the_start_is_waited_for(
    training_api: None, start_operator: StartOperator, proxy: FaultProxy, world: World
) -> None:
    refusals = Refusals(503, times=25, chosen=lambda call: True)
    with harm(proxy, refusals), recovery("503 to everything at the start"):
        start_operator()
        first_children(world)
    assert refusals.left == 0


class Latency:
    """Lets every answer to a write come late, after it was done."""

    async def __call__(self, call: Call, forward: Forward) -> web.StreamResponse | None:
        """Do it, then wait."""
        if not call.is_write:
            return None
        answer = await forward()
        await asyncio.sleep(1.0)
        return answer


def test_answers_that_come_later_than_the_events_double_nothing(
    operator: OperatorProcess, proxy: FaultProxy, world: World
) -> None:
    with harm(proxy, Latency()), recovery("answers a second late"):
        live(world)
    before = world.settled()
    writes = len(proxy.writes())
    assert world.settled(quiet=5.0) == before
    assert len(proxy.writes()) == writes
    assert len(world.list("pods")) == 2


class Lost:
    """Does a write and answers that the connection was lost, every second time."""

    def __init__(self) -> None:
        self.number = 0

    async def __call__(self, call: Call, forward: Forward) -> web.StreamResponse | None:
        """Do it; of the first of two, say that it failed."""
        if not call.is_write:
            return None
        self.number += 1
        answer = await forward()
        return answer if self.number % 2 == 0 else web.Response(status=502)


def test_writes_that_were_done_although_the_answer_says_no_are_not_done_twice(
    operator: OperatorProcess, proxy: FaultProxy, world: World, new_world: NewWorld
) -> None:
    calm = new_world()
    live(calm)
    calm.settled()
    with harm(proxy, Lost()), recovery("answers to every second write lost"):
        live(world)
        world.settled()
    assert remains(world) == remains(calm)


def test_an_api_server_that_restarts_twice_in_a_row_is_waited_for(
    api_server: ApiServer, operator_kubeconfig: Path, training_api: None, world: World, tmp_path: Path
) -> None:
    # Just started, the API server forbids for a moment what it will allow: such answers are in this log.
    with OperatorProcess(operator_kubeconfig, tmp_path / "log") as operator:
        first_children(world)
        api_server.restart()
        api_server.restart()
        with recovery("API server restarted twice"):
            world.delete("configmaps", "medical-run")
            eventually(lambda: world.get("configmaps", "medical-run"))
        assert operator.get("/healthz")[0] == 200
