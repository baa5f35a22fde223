"""What the collector counts while it runs, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from ingest.collector import metrics
from ingest.collector.reasons import REASONS
from ingest.collector.tally import Durations, Tally
from ingest.metric import Definition


class CollectorWatch:
    """One collector's metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._tally(metrics.REQUESTS)
        self.accepted = self._tally(metrics.ACCEPTED)
        self.rejected = self._tally(metrics.REJECTED)
        for reason in REASONS:
            self.rejected.add(0, (reason,))
        self.body_bytes = self._tally(metrics.BODY_BYTES)
        self.producer_failures = self._tally(metrics.PRODUCER_FAILURES)
        self.spilled = self._tally(metrics.SPILLED)
        self.drained = self._tally(metrics.DRAINED)
        self.durable_seconds = Durations(metrics.DURABLE_SECONDS)
        self.registry.register(self.durable_seconds)
        self._gauge(metrics.BUILD).labels(version("lakeward")).set(1)

    def ask(self, definition: Definition, value: Callable[[], float]) -> None:
        """Fill a gauge by a function whenever somebody scrapes."""
        self._gauge(definition).set_function(value)

    def _tally(self, definition: Definition) -> Tally:
        tally = Tally(definition)
        self.registry.register(tally)
        return tally

    def _gauge(self, definition: Definition) -> Gauge:
        return Gauge(definition.name, definition.meaning, definition.labels, registry=self.registry)
