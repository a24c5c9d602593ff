"""Probes and metrics over plain HTTP, for the kubelet and for Prometheus."""

from collections.abc import Callable

from aiohttp import web

from llmfinetune_operator.metrics import Metrics

STUCK_SECONDS = 180.0
"""A key that no worker takes, or that one holds, for that long means that the operator is stuck."""


def application(
    *, metrics: Metrics, age: Callable[[], float], is_ready: Callable[[], bool]
) -> web.Application:
    """Return the web application: `/healthz`, `/readyz` and `/metrics`."""

    async def healthz(request: web.Request) -> web.Response:
        seconds = age()
        if seconds > STUCK_SECONDS:
            return web.Response(status=503, text=f"a fine-tune has been in the queue for {seconds:.0f} s\n")
        return web.Response(text="ok\n")

    async def readyz(request: web.Request) -> web.Response:
        if not is_ready():
            return web.Response(status=503, text="the first lists are not complete\n")
        return web.Response(text="ok\n")

    async def exposition(request: web.Request) -> web.Response:
        content_type = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=metrics.exposition(), headers=content_type)

    result = web.Application()
    result.router.add_get("/healthz", healthz)
    result.router.add_get("/readyz", readyz)
    result.router.add_get("/metrics", exposition)
    return result
