"""The harm that a proxy can be told to do: refusals in bursts, and calls held while something happens."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Literal

from aiohttp import web

from tests.api.faults.proxy import Call, Fault, FaultProxy, Forward

Moment = Literal["before", "after"]
Chosen = Callable[[Call], bool]


class Refusals:
    """Answers the calls that are chosen with an error, a number of times."""

    def __init__(self, status: int, *, times: int, chosen: Chosen, retry_after: int = 0) -> None:
        self.left = times
        self._status = status
        self._chosen = chosen
        self._headers = {"Retry-After": str(retry_after)} if retry_after else {}

    async def __call__(self, call: Call, forward: Forward) -> web.StreamResponse | None:
        """Refuse, or leave the call alone."""
        if not self.left or not self._chosen(call):
            return None
        self.left -= 1
        said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "told to refuse"}
        return web.Response(
            status=self._status,
            headers=self._headers,
            body=json.dumps({**said, "code": self._status}),
            content_type="application/json",
        )


class Hold:
    """Holds one write, before the API server gets it or after it has done it, and lets none follow."""

    def __init__(self, number: int, moment: Moment, *, chosen: Chosen = lambda call: call.is_write) -> None:
        self.reached = Event()
        self.held: Call | None = None
        self._number = number
        self._moment = moment
        self._chosen = chosen
        self._seen = 0

    async def __call__(self, call: Call, forward: Forward) -> web.StreamResponse | None:
        """Pass the first ones on, hold the one that is meant, and all after it."""
        if not self._chosen(call):
            return None
        self._seen += 1
        if self._seen < self._number:
            return None
        if self._seen == self._number:
            self.held = call
            if self._moment == "after":
                await forward()
            self.reached.set()
        await asyncio.Event().wait()  # until the caller is dead
        raise AssertionError("nobody sets the event")


@contextmanager
def harm(proxy: FaultProxy, fault: Fault) -> Iterator[None]:
    """Do harm while the context lasts."""
    proxy.faults.append(fault)
    try:
        yield
    finally:
        proxy.faults.remove(fault)
