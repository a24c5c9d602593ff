"""What the operator tells Prometheus about itself. Labels are bounded: no series belongs to one fine-tune."""

from collections import Counter as Tally
from collections.abc import Iterator
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from llmfinetune_operator.observed import Key
from llmfinetune_operator.queue import WorkQueue
from llmfinetune_operator.store import Store

PREFIX: Final = "llmfinetune_operator"
BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters that the parts of the operator count up, in a registry of their own."""

    def __init__(self) -> None:
        # Half of all samples would tell when a counter was made, which is when the process started.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library leaves it without annotations
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            f"{PREFIX}_reconcile", "Reconciles, by how they ended.", ["result"], registry=self.registry
        )
        self.reconcile_seconds = Histogram(
            f"{PREFIX}_reconcile_duration_seconds",
            "How long one reconcile took.",
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.requests = Counter(
            f"{PREFIX}_api_requests",
            "Requests to the API server, watches left out, by verb and status code.",
            ["verb", "code"],
            registry=self.registry,
        )
        self.reports = Counter(
            f"{PREFIX}_reports",
            "Progress reports, by what became of them.",
            ["result"],
            registry=self.registry,
        )
        self.failures = Counter(
            "llmfinetune_failures",
            "Failures of fine-tunes and of their workers, by category and by whether they are tried again.",
            ["category", "retryable"],
            registry=self.registry,
        )

    def count_failure(self, category: str, *, retryable: bool) -> None:
        """Count one failure of a fine-tune or of its workers."""
        self.failures.labels(category, str(retryable).lower()).inc()

    def count_request(self, verb: str, code: str) -> None:
        """Count one request to the API server."""
        self.requests.labels(verb, code).inc()

    def count_report(self, result: str) -> None:
        """Count one progress report."""
        self.reports.labels(result).inc()

    def watch(self, store: Store, queue: WorkQueue[Key]) -> None:
        """Show what is in the store and in the queue at each scrape."""
        self.registry.register(_State(store, queue))

    def exposition(self) -> bytes:
        """Return every metric in Prometheus' text format."""
        return generate_latest(self.registry)


class _State(Collector):
    """Gauges that are read when somebody asks for them."""

    def __init__(self, store: Store, queue: WorkQueue[Key]) -> None:
        self._store = store
        self._queue = queue

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the gauges as they are now."""
        depth = GaugeMetricFamily(f"{PREFIX}_queue_depth", "Fine-tunes that wait for a worker.")
        depth.add_metric([], len(self._queue))
        yield depth
        phases = GaugeMetricFamily(f"{PREFIX}_finetunes", "Fine-tunes, by phase.", labels=["phase"])
        for phase, count in phases_of(self._store).items():
            phases.add_metric([phase], count)
        yield phases


def phases_of(store: Store) -> Tally[str]:
    """Count fine-tunes by phase; those without one yet are Pending."""
    return Tally(
        str((fine_tune.get("status") or {}).get("phase") or "Pending") for _, fine_tune in store.fine_tunes()
    )
