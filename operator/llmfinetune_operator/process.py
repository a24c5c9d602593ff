"""Every part of the operator, wired together, and run until it is told to stop."""

import argparse
import asyncio
import random
import signal
from contextlib import suppress
from datetime import UTC, datetime
from ssl import SSLContext
from time import monotonic
from typing import Final

import kopf
from aiohttp import web
from kubernetes.aio.client import Configuration

from llmfinetune_operator import health
from llmfinetune_operator.audit import Audit
from llmfinetune_operator.cluster import Connection, KubernetesCluster, load_configuration
from llmfinetune_operator.decide import decide
from llmfinetune_operator.handlers import build_registry
from llmfinetune_operator.metrics import Metrics
from llmfinetune_operator.observed import Key
from llmfinetune_operator.progress.authority import Authority, load_or_make_authority, new_authority
from llmfinetune_operator.progress.reports import RateLimit, Reports
from llmfinetune_operator.progress.server import ProgressServer
from llmfinetune_operator.progress.serving import ServingCertificate, serving_names
from llmfinetune_operator.progress.tokens import Tokens
from llmfinetune_operator.queue import WorkQueue
from llmfinetune_operator.reconcile import Reconciler
from llmfinetune_operator.settings import Settings
from llmfinetune_operator.store import Store
from llmfinetune_operator.supervise import run_until_stopped
from llmfinetune_operator.training_api import TrainingApi
from llmfinetune_operator.workers import Workers

REPORTS_PER_SECOND: Final = 2.0
REPORTS_BURST: Final = 20
REVIEWS_PER_SECOND: Final = 50.0
REVIEWS_BURST: Final = 500
DRAIN_SECONDS: Final = 5.0


class Operator:
    """The operator. `instance` names this process in events."""

    def __init__(self, options: argparse.Namespace, settings: Settings, *, instance: str) -> None:
        self._options = options
        self._settings = settings
        self._instance = instance
        self._stop = asyncio.Event()
        self._metrics = Metrics()
        self._store = Store()
        self._reports = Reports(clock=utc_now)
        self._limit = RateLimit(per_second=REPORTS_PER_SECOND, burst=REPORTS_BURST, time=monotonic)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            OperatorError: it cannot start, or a part of it ended.
        """
        configuration = await load_configuration()
        connection = Connection(configuration, count=self._metrics.count_request)
        try:
            await self._run(KubernetesCluster(connection), configuration)
        finally:
            await connection.close()

    async def _run(self, cluster: KubernetesCluster, configuration: Configuration) -> None:
        queue: WorkQueue[Key] = WorkQueue(clock=asyncio.get_running_loop(), random=random.random)
        self._metrics.watch(self._store, queue)
        authority = self._authority()
        certificate = ServingCertificate(authority, serving_names(self._settings), clock=utc_now)
        appeared = asyncio.Event()
        training_api = TrainingApi(
            cluster, changed=lambda available: self._training_api_changed(queue, appeared, available)
        )
        audit = Audit(
            store=self._store,
            lister=cluster,
            namespaces=tuple(self._options.namespace),
            notify=queue.add,
            random=random.random,
        )
        workers = self._workers(queue, cluster, training_api, authority)
        ready = asyncio.Event()
        await run_until_stopped(
            {
                "watches": self._watch(queue, audit, configuration, ready=ready, again=appeared),
                "signals": self._listen_for_signals(ready),
                "audit": audit.run_forever(),
                "training-api": training_api.watch_forever(),
                "certificate": certificate.renew_forever(),
                "progress": self._serve_progress(queue, cluster, audit, certificate.context),
                "http": self._serve_http(queue, audit),
                **{f"worker-{index}": work(workers, audit) for index in range(self._options.workers)},
            },
            self._stop,
            drain=lambda: drain(queue),
        )

    def _authority(self) -> Authority:
        if self._options.state_dir is None:
            return new_authority(now=utc_now())
        return load_or_make_authority(self._options.state_dir, now=utc_now())

    def _workers(
        self,
        queue: WorkQueue[Key],
        cluster: KubernetesCluster,
        training_api: TrainingApi,
        authority: Authority,
    ) -> Workers:
        reconcile = Reconciler(
            decide=decide,
            store=self._store,
            cluster=cluster,
            reports=self._reports,
            training_api=training_api,
            settings=self._settings,
            progress_ca=authority.pem,
            clock=utc_now,
            instance=self._instance,
            count_failure=self._metrics.count_failure,
            is_busy=lambda: queue.num_urgent > 0,
        )
        return Workers(
            queue=queue,
            reconcile=reconcile,
            metrics=self._metrics,
            forget=self._limit.forget,
            resync_seconds=self._settings.resync_seconds,
            random=random.random,
        )

    async def _watch(
        self,
        queue: WorkQueue[Key],
        audit: Audit,
        configuration: Configuration,
        *,
        ready: asyncio.Event,
        again: asyncio.Event,
    ) -> None:
        """Watch, and start over when `again` is set: kopf looks for a new kind at the last word about its
        definition, which comes before the API server serves it."""
        registry = build_registry(
            self._store,
            notify=queue.add_after,
            listed=audit.ask,
            configuration=configuration,
            silence_seconds=self._settings.watch_silence_seconds,
        )
        while True:
            again.clear()
            await kopf.operator(
                registry=registry,
                standalone=True,
                clusterwide=not self._options.namespace,
                namespaces=self._options.namespace,
                ready_flag=ready,
                stop_flag=again,
            )
            if not again.is_set():
                return

    async def _listen_for_signals(self, ready: asyncio.Event) -> None:
        """Take the signals over from kopf, whenever it starts: it would end before work in progress does."""
        loop = asyncio.get_running_loop()
        while True:
            await ready.wait()
            ready.clear()
            for each in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(each, self._stop.set)

    async def _serve_progress(
        self, queue: WorkQueue[Key], cluster: KubernetesCluster, audit: Audit, context: SSLContext
    ) -> None:
        reviews = RateLimit(per_second=REVIEWS_PER_SECOND, burst=REVIEWS_BURST, time=monotonic)
        server = ProgressServer(
            pods=self._store,
            tokens=Tokens(cluster, reviews=reviews, time=monotonic),
            reports=self._reports,
            limit=self._limit,
            notify=queue.add,
            count=self._metrics.count_report,
            is_ready=lambda: audit.is_synced,
        )
        await serve(server.application(), self._options.progress_port, context)

    async def _serve_http(self, queue: WorkQueue[Key], audit: Audit) -> None:
        application = health.application(
            metrics=self._metrics, age=queue.age, is_ready=lambda: audit.is_synced
        )
        await serve(application, self._options.http_port)

    def _training_api_changed(self, queue: WorkQueue[Key], appeared: asyncio.Event, available: bool) -> None:
        if available:
            appeared.set()
        for key, _ in self._store.fine_tunes():
            queue.add(key)


async def work(workers: Workers, audit: Audit) -> None:
    """Work as soon as the store is complete: what it lacks would look as if it were not there."""
    await audit.synced()
    await workers.work()


async def serve(application: web.Application, on_port: int, context: SSLContext | None = None) -> None:
    """Serve a web application until cancelled."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=on_port, ssl_context=context).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def drain(queue: WorkQueue[Key]) -> None:
    """Let the workers finish what they hold, for a short time."""
    queue.shut_down()
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            await queue.idle()


def utc_now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)
