"""A clock that is set forward or back while a fine-tune is in any state: nothing that works is ended by it,
and nothing that waits waits for longer than the longest wait."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.unit.operator.decide.world import JOB, World

LONGEST = timedelta(hours=1)


def applied(world: World) -> None:
    world.settle()


def training(world: World) -> None:
    world.training()


def waiting_to_try_again(world: World) -> None:
    world.training()
    world.finish_job(JOB, "Failed")
    world.settle()


def suspended(world: World) -> None:
    world.training()
    world.edit(runPolicy={"suspend": True})
    world.settle()


STATES = [applied, training, waiting_to_try_again, suspended]
JUMPS = [
    pytest.param(timedelta(days=-1), id="a day back"),
    pytest.param(timedelta(minutes=-2), id="two minutes back"),
    pytest.param(timedelta(days=365), id="a year forward"),
]


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("state", STATES)
def test_a_jump_ends_nothing_and_is_waited_for_by_nobody(
    state: Callable[[World], None], jump: timedelta
) -> None:
    world = World()
    state(world)
    uid = world.children[JOB]["metadata"]["uid"] if state is training else None
    world.now += jump
    world.settle()
    wake_at = world.decide().wake_at
    assert wake_at is None or wake_at - world.now <= LONGEST
    assert world.phase != "Failed"
    assert uid is None or world.children[JOB]["metadata"]["uid"] == uid


@pytest.mark.parametrize("jump", JUMPS)
def test_workers_that_wait_for_another_try_get_it(jump: timedelta) -> None:
    world = World()
    waiting_to_try_again(world)
    attempt = world.status["attempt"]
    world.now += jump
    world.live_for(world.settings.retry_delay_max_seconds + 1)
    assert world.status["attempt"] == attempt + 1
    assert JOB in world.children


@pytest.mark.parametrize("jump", JUMPS)
def test_new_figures_are_told_after_a_jump(jump: timedelta) -> None:
    world = World()
    world.training()
    world.told(step=1, total_steps=10, loss=2.0)
    world.settle()
    world.now += jump
    world.told(step=2, total_steps=10, loss=1.9)
    world.settle()
    assert world.status["progress"]["step"] == 2
