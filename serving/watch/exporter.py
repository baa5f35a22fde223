"""Serves the numbers of the last reading; a scrape reads nothing itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import duckdb
from deltalake.exceptions import DeltaError
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.errors import LakewardError
from ingest.listen_address import ListenAddress
from lake.errors import MetricsAddressError
from serving.watch import metrics
from serving.watch.reading import Sample

logger = logging.getLogger(__name__)


class Exporter(Collector):
    """The newest numbers, for whoever scrapes."""

    def __init__(self, read: Callable[[datetime], list[Sample]]) -> None:
        self._read = read
        self._samples: list[Sample] = []
        self._is_readable = False

    def look(self, now: datetime) -> None:
        """Read the lake; when that fails, the numbers stay and the failure is one of them."""
        try:
            found = self._read(now)
        except (LakewardError, duckdb.Error, DeltaError, OSError) as error:
            logger.warning("lake_unreadable", extra={"why": str(error)})
            self._is_readable = False
            return
        self._samples = [*found, Sample(metrics.READ_AT, (), now.timestamp())]
        self._is_readable = True

    def collect(self) -> Iterator[Metric]:
        """Yield each metric that has a value."""
        samples = [*self._samples, Sample(metrics.READABLE, (), float(self._is_readable))]
        for definition in metrics.DEFINITIONS:
            family = GaugeMetricFamily(
                definition.name, definition.meaning, labels=list(definition.labels)
            )
            for one in samples:
                if one.metric is definition:
                    family.add_metric(list(one.labels), one.value)
            if family.samples:
                yield family


def serve(
    exporter: Exporter, address: ListenAddress, every_seconds: float, stopping: threading.Event
) -> None:
    """Look and answer until ``stopping``.

    Raises:
        MetricsAddressError: nobody can listen there.
    """
    exporter.look(datetime.now(UTC))
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(exporter)
    try:
        server, thread = start_http_server(address.port, address.host or "::", registry)
    except OSError as error:
        raise MetricsAddressError(
            f"cannot serve metrics on {address}: {error.strerror or error}",
            hint="Name another address with --address or LAKEWARD_EXPORTER_ADDRESS.",
        ) from error
    logger.info("metrics_served", extra={"address": str(address)})
    try:
        while not stopping.wait(every_seconds):
            exporter.look(datetime.now(UTC))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
