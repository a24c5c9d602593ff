"""Knows whether the API server has the training job's kind, which may come and go while the operator runs."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from llmfinetune_operator.errors import ApiError

MISSING_SECONDS: Final = 5.0
"""How often a missing kind is looked for."""
PRESENT_SECONDS: Final = 60.0
logger = logging.getLogger(__name__)


class Discovery(Protocol):
    """Asks the API server what kinds it has."""

    async def has_training_api(self) -> bool:
        """Say whether it knows the training job's kind."""


class TrainingApi:
    """Keeps `available` up to date, and calls `changed` with it whenever it changes."""

    def __init__(self, discovery: Discovery, *, changed: Callable[[bool], object]) -> None:
        self._discovery = discovery
        self._changed = changed
        self.available = True

    async def refresh(self) -> None:
        """Ask once."""
        available = await self._discovery.has_training_api()
        if available != self.available:
            self.available = available
            logger.info("the training operator's API has %s", "appeared" if available else "gone")
            self._changed(available)

    async def watch_forever(self) -> None:
        """Ask again and again, often while it is missing."""
        while True:
            try:
                await self.refresh()
            except ApiError as error:
                logger.warning("cannot discover the training operator's API", extra={"reason": str(error)})
            await asyncio.sleep(PRESENT_SECONDS if self.available else MISSING_SECONDS)
