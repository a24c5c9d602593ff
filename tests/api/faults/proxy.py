"""A proxy in front of a real API server: passes everything on, records it, and does harm where it is told.

It listens on loopback in plain HTTP, so that no certificate is in the way, and passes every request's own
credentials on: who may do what is still the API server's to say.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Literal, Self

import aiohttp
from aiohttp import web

from devcluster.apiserver import free_ports

HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding"}
READS = {"GET", "HEAD"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, as far as faults choose by it."""

    method: str
    path: str
    """With the query."""

    @property
    def what(self) -> str:
        """What it is about: the plural, or the plural and a subresource."""
        parts = self.path.partition("?")[0].split("/")
        kept = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[-1:]
        return "/".join([kept[0], *kept[2:]])

    @property
    def is_write(self) -> bool:
        """Whether it changes an object; reviews of tokens are stored nowhere."""
        return self.method not in READS and "tokenreviews" not in self.path

    @property
    def is_watch(self) -> bool:
        """Whether the answer is a stream of events."""
        return self.method == "GET" and "watch=true" in self.path


Break = Literal["silent", "torn"]
"""A broken watch stays open and says nothing more, or is cut in the middle of what it says next."""


@dataclass(eq=False)
class _Stream:
    """One watch on its way through."""

    broken: Break | None = None


Forward = Callable[[], Awaitable[web.StreamResponse]]
Fault = Callable[[Call, Forward], Awaitable[web.StreamResponse | None]]
"""Answers a call in its own way, after or without forwarding it; None leaves the call to others."""


class FaultProxy:
    """Serves from a thread of its own while it is a context."""

    def __init__(self, upstream: Path) -> None:
        cluster = json.loads(upstream.read_text())["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._upstream = str(cluster["server"])
        self._tls = ssl.create_default_context(cadata=authority)
        self._port = free_ports(1)[0]
        self._started = Event()
        self._streams: set[_Stream] = set()
        self.faults: list[Fault] = []
        self.calls: list[Call] = []

    def kubeconfig(self, like: Path, target: Path) -> Path:
        """Write a kubeconfig with the user of another one, to the proxy's address."""
        document = json.loads(like.read_text())
        document["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{self._port}"}
        target.touch(mode=0o600)
        target.write_text(json.dumps(document))
        return target

    def writes(self) -> list[Call]:
        """Return the writes so far, in order."""
        return [call for call in self.calls if call.is_write]

    def break_watches(self, how: Break) -> int:
        """Break every watch that is open now, and return how many that are. Later ones are sound."""
        streams = list(self._streams)
        for stream in streams:
            stream.broken = how
        return len(streams)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as self._session:
            application = web.Application(client_max_size=2**24)
            application.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            self._started.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = Call(method=request.method, path=request.path_qs)
        self.calls.append(call)
        body = await request.read()

        async def forward() -> web.StreamResponse:
            return await self._forward(request, call, body)

        for fault in list(self.faults):
            answer = await fault(call, forward)
            if answer is not None:
                return answer
        return await forward()

    async def _forward(self, request: web.Request, call: Call, body: bytes) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        url = f"{self._upstream}{request.path_qs}"
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body or None
            ) as answer:
                kept = {name: text for name, text in answer.headers.items() if name.lower() not in HOP_BY_HOP}
                if not call.is_watch:
                    return web.Response(status=answer.status, headers=kept, body=await answer.read())
                response = web.StreamResponse(status=answer.status, headers=kept)
                await response.prepare(request)
                assert request.transport is not None
                await self._stream(answer, response, request.transport)
                return response
        except aiohttp.ClientError:  # the API server is away
            return web.Response(status=502)

    async def _stream(
        self, answer: aiohttp.ClientResponse, response: web.StreamResponse, transport: asyncio.Transport
    ) -> None:
        stream = _Stream()
        self._streams.add(stream)
        try:
            with suppress(aiohttp.ClientError, ConnectionError):
                async for chunk in answer.content.iter_any():
                    if stream.broken == "torn":
                        await response.write(chunk[: len(chunk) // 2])
                        transport.abort()
                        return
                    if stream.broken != "silent":
                        await response.write(chunk)
        finally:
            self._streams.discard(stream)

    def __enter__(self) -> Self:
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(10), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
