"""What the collector counts while it runs, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from ingest.collector import metrics
from ingest.collector.reasons import REASONS
from ingest.metric import Definition


class CollectorWatch:
    """One collector's metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter(metrics.REQUESTS)
        self.accepted = self._counter(metrics.ACCEPTED)
        self.rejected = self._counter(metrics.REJECTED)
        for reason in REASONS:
            self.rejected.labels(reason)
        self.body_bytes = self._counter(metrics.BODY_BYTES)
        self.producer_failures = self._counter(metrics.PRODUCER_FAILURES)
        self.spilled = self._counter(metrics.SPILLED)
        self.drained = self._counter(metrics.DRAINED)
        seconds = metrics.DURABLE_SECONDS
        self.durable_seconds = Histogram(
            seconds.name, seconds.meaning, buckets=seconds.buckets, registry=self.registry
        )
        self._gauge(metrics.BUILD).labels(version("lakeward")).set(1)

    def ask(self, definition: Definition, value: Callable[[], float]) -> None:
        """Fill a gauge by a function whenever somebody scrapes."""
        self._gauge(definition).set_function(value)

    def _counter(self, definition: Definition) -> Counter:
        return Counter(
            definition.name, definition.meaning, definition.labels, registry=self.registry
        )

    def _gauge(self, definition: Definition) -> Gauge:
        return Gauge(definition.name, definition.meaning, definition.labels, registry=self.registry)
