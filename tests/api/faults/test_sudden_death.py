"""The operator dies right before or right after any one of its writes: what it leaves is finished, once."""

from itertools import count
from threading import Thread

import pytest

from tests.api.client import Json
from tests.api.faults.harm import Hold, Moment
from tests.api.faults.life import live, remains
from tests.api.faults.noted import recovery
from tests.api.faults.proxy import FaultProxy
from tests.api.operator.conftest import NewWorld, StartOperator
from tests.api.operator.process import OperatorProcess
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(900)]


@pytest.fixture
def operator(training_api: None, start_operator: StartOperator) -> OperatorProcess:
    return start_operator()


def undisturbed(world: World) -> Json:
    live(world)
    world.settled(quiet=2.0)
    return remains(world)


def die_and_come_back(operator: OperatorProcess, proxy: FaultProxy, hold: Hold, moment: Moment) -> None:
    """Kill the operator once a write is held, and start it again."""
    hold.reached.wait()
    if hold.held is None:
        return
    with recovery(f"operator killed {moment} it writes {hold.held.what}"):
        operator.kill()
        proxy.faults.remove(hold)
        operator.start()


def live_and_die(
    world: World, operator: OperatorProcess, proxy: FaultProxy, hold: Hold, moment: Moment
) -> bool:
    """Live through one death, and say whether there was one."""
    proxy.faults.append(hold)
    killer = Thread(target=die_and_come_back, args=(operator, proxy, hold, moment))
    killer.start()
    live(world)
    is_dead = hold.reached.is_set()
    hold.reached.set()
    killer.join(90)
    world.settled(quiet=2.0)
    return is_dead


def test_killed_in_the_middle_of_its_first_writes_it_finishes_them(
    training_api: None, operator: OperatorProcess, proxy: FaultProxy, world: World
) -> None:
    assert live_and_die(world, operator, proxy, Hold(3, "after"), "after")
    assert len(world.list("pods")) == 2


@pytest.mark.chaos
@pytest.mark.parametrize("moment", ["before", "after"])
def test_wherever_it_is_killed_the_end_is_the_same_and_nothing_is_doubled(
    operator: OperatorProcess, proxy: FaultProxy, new_world: NewWorld, moment: Moment
) -> None:
    expected = undisturbed(new_world())
    for number in count(1):
        world = new_world()
        if not live_and_die(world, operator, proxy, Hold(number, moment), moment):
            break
        assert remains(world) == expected, f"killed {moment} write {number}"
        assert [call for call in proxy.writes() if call.method == "DELETE"] == []
    assert number > len(expected)
