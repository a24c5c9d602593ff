"""Owns the long-lived tasks: the end of any of them, however it comes, ends the process and is logged."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from llmfinetune_operator.errors import OperatorError

logger = logging.getLogger(__name__)


class TaskEndedError(OperatorError):
    """A task that should have run for ever has ended."""


async def run_until_stopped(
    tasks: Mapping[str, Coroutine[Any, Any, Any]],
    stop: asyncio.Event,
    *,
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Run the tasks until `stop` is set, then `drain`, then cancel them.

    Raises:
        TaskEndedError: a task ended before that.
    """
    running = {asyncio.create_task(task, name=name) for name, task in tasks.items()}
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        ended, _ = await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        failed = next((task for task in ended if task is not stopping), None)
        if failed is None:
            await drain()
    finally:
        for task in (*running, stopping):
            task.cancel()
        results = await asyncio.gather(*running, return_exceptions=True)
    for task, result in zip(running, results, strict=True):
        if isinstance(result, Exception):
            logger.error("task %s failed", task.get_name(), exc_info=result)
    if failed is not None:
        raise TaskEndedError(
            f"the task {failed.get_name()} has ended; the process ends so that it starts anew"
        )
