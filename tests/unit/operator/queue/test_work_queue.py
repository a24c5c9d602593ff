"""The work queue: what a controller relies on, with a clock that the tests move."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfinetune_operator.lanes import MOST_IN_A_ROW, PATIENCE_SECONDS
from llmfinetune_operator.queue import Backoff, ShutDownError, WorkQueue
from tests.unit.operator.queue.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> WorkQueue[str]:
    backoff = Backoff(first=1.0, limit=8.0, jitter=0.5)
    return WorkQueue(clock=clock, random=lambda: 0.0, backoff=backoff)


async def take(queue: WorkQueue[str]) -> str:
    async with asyncio.timeout(1):
        return await queue.get()


async def test_a_key_named_often_is_handed_out_once(queue: WorkQueue[str]) -> None:
    for _ in range(5):
        queue.add("a")
    assert await take(queue) == "a"
    assert len(queue) == 0


async def test_keys_come_in_the_order_they_were_named(queue: WorkQueue[str]) -> None:
    for key in ("b", "a", "c", "a"):
        queue.add(key)
    assert [await take(queue) for _ in range(3)] == ["b", "a", "c"]


async def test_urgent_keys_go_first_each_lane_in_its_order(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.add("c", urgent=True)
    queue.add("b", urgent=True)
    queue.add("d")
    assert (queue.num_urgent, len(queue)) == (2, 4)
    assert [await take(queue) for _ in range(4)] == ["c", "b", "a", "d"]


async def test_what_has_waited_for_long_and_what_is_urgent_take_turns(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    for key in ("old", "older"):
        queue.add(key)
    clock.advance(PATIENCE_SECONDS)
    for number in range(2 * MOST_IN_A_ROW):
        queue.add(f"urgent-{number}", urgent=True)
    urgent = [f"urgent-{number}" for number in range(2 * MOST_IN_A_ROW)]
    expected = [*urgent[:MOST_IN_A_ROW], "old", *urgent[MOST_IN_A_ROW:], "older"]
    assert [await take(queue) for _ in expected] == expected


async def test_what_has_not_waited_for_long_lets_all_that_is_urgent_go_first(queue: WorkQueue[str]) -> None:
    queue.add("patient")
    for number in range(2 * MOST_IN_A_ROW):
        queue.add(f"urgent-{number}", urgent=True)
    assert "patient" not in [await take(queue) for _ in range(2 * MOST_IN_A_ROW)]


async def test_an_urgent_key_stays_urgent_through_a_delay_and_while_held(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    queue.add_after("held", 0.0)
    await take(queue)
    queue.add("held", urgent=True)
    queue.add("held")
    queue.add("patient")
    queue.add_after("later", 1.0)
    queue.add_after("later", 2.0, urgent=True)
    clock.advance(3.0)
    queue.done("held")
    assert [await take(queue) for _ in range(3)] == ["later", "held", "patient"]


async def test_a_key_named_while_held_comes_again_only_after_it_was_given_back(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await take(queue)
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await take(queue) == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_worker_that_waits_is_woken(queue: WorkQueue[str]) -> None:
    waiting = asyncio.create_task(take(queue))
    await asyncio.sleep(0)
    queue.add("a")
    assert await waiting == "a"


async def test_a_key_goes_to_another_worker_when_the_woken_one_is_cancelled(queue: WorkQueue[str]) -> None:
    first, second = (asyncio.create_task(take(queue)) for _ in range(2))
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await second == "a"


async def test_a_delayed_key_waits_for_its_time(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10.0)
    clock.advance(9.9)
    assert len(queue) == 0
    clock.advance(0.2)
    assert await take(queue) == "a"


@pytest.mark.parametrize("delays", [(10.0, 3.0), (3.0, 10.0)], ids=["shorter later", "shorter first"])
async def test_of_two_delays_the_earlier_counts(
    queue: WorkQueue[str], clock: FakeClock, delays: tuple[float, float]
) -> None:
    for delay in delays:
        queue.add_after("a", delay)
    clock.advance(3.1)
    assert await take(queue) == "a"
    queue.done("a")
    clock.advance(20)
    assert len(queue) == 0


async def test_a_delay_that_is_over_waits_for_nothing(queue: WorkQueue[str]) -> None:
    queue.add_after("a", -1.0)
    assert await take(queue) == "a"


@pytest.mark.parametrize(
    ("failures", "random", "seconds"),
    [
        pytest.param(1, 0.0, 1.0, id="the first failure waits shortest"),
        pytest.param(3, 0.0, 4.0, id="each further one waits twice as long"),
        pytest.param(50, 0.0, 8.0, id="up to the limit"),
        pytest.param(2, 0.5, 2.5, id="jitter comes on top"),
        pytest.param(10**6, 0.0, 8.0, id="no number of failures overflows"),
    ],
)
def test_backoff(failures: int, random: float, seconds: float) -> None:
    assert Backoff(first=1.0, limit=8.0, jitter=0.5).delay(failures, random) == seconds


async def test_failures_of_one_key_do_not_delay_another(queue: WorkQueue[str]) -> None:
    assert [queue.retry("a") for _ in range(3)] == [1.0, 2.0, 4.0]
    assert queue.retry("b") == 1.0


async def test_success_starts_the_backoff_over(queue: WorkQueue[str]) -> None:
    queue.retry("a")
    queue.retry("a")
    queue.forget("a")
    assert queue.retry("a") == 1.0


async def test_a_retry_waits_as_long_as_the_server_asked(queue: WorkQueue[str]) -> None:
    assert queue.retry("a", at_least=30.0) == 30.0


async def test_a_dropped_key_does_not_come_back(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.retry("a")
    queue.drop("a")
    clock.advance(100)
    assert len(queue) == 0


async def test_age_is_that_of_the_key_stuck_longest(queue: WorkQueue[str], clock: FakeClock) -> None:
    assert queue.age() == 0.0
    queue.add("held")
    await take(queue)
    clock.advance(5)
    queue.add("waiting")
    clock.advance(2)
    assert queue.age() == 7.0
    queue.done("held")
    assert queue.age() == 2.0


async def test_shut_down_ends_waiting_workers_and_hands_out_nothing_more(queue: WorkQueue[str]) -> None:
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.add("a")
    queue.shut_down()
    queue.add("b")
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert Counter(map(type, results)) == {ShutDownError: 3}


async def test_idle_waits_for_the_keys_that_are_held(queue: WorkQueue[str]) -> None:
    await queue.idle()
    queue.add("a")
    await take(queue)
    idle = asyncio.create_task(queue.idle())
    await asyncio.sleep(0)
    assert not idle.done()
    queue.done("a")
    async with asyncio.timeout(1):
        await idle


Steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "hurry", "later", "take", "done", "fail", "tick"]), st.sampled_from("abc")
    )
)


@given(steps=Steps)
def test_no_order_of_calls_loses_a_key_or_hands_one_out_twice(steps: list[tuple[str, str]]) -> None:
    asyncio.run(_play(steps))


async def _play(steps: list[tuple[str, str]]) -> None:
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock=clock, random=lambda: 0.5)
    held: set[str] = set()
    owed: set[str] = set()
    for step, key in steps:
        if step in ("add", "hurry"):
            queue.add(key, urgent=step == "hurry")
            owed.add(key)
        elif step == "later":
            queue.add_after(key, 5.0, urgent=key == "a")
            owed.add(key)
        elif step == "take" and len(queue):
            taken = await queue.get()
            assert taken not in held
            held.add(taken)
            owed.discard(taken)
        elif step in ("done", "fail") and key in held:
            if step == "fail":
                queue.retry(key)
                owed.add(key)
            held.discard(key)
            queue.done(key)
        elif step == "tick":
            clock.advance(2.0)
    for key in list(held):
        queue.done(key)
    clock.advance(1000.0)
    left = set()
    while len(queue):
        left.add(await queue.get())
    assert owed <= left
