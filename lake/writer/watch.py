"""What the writer tells about itself while it runs, for Prometheus and for health checks.

A passive object: the writer's threads call it, it only counts. It asks nobody anything, so that
being watched costs next to nothing and cannot fail.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.contracts.model import Contract
from ingest.contracts.reasons import REASONS
from ingest.metric import Definition
from lake.errors import in_one_line
from lake.writer import metrics
from lake.writer.health import Health
from lake.writer.lag import Lags
from lake.writer.source import Source

if TYPE_CHECKING:
    from lake.writer.messages import Messages
    from lake.writer.sink import Flushed

logger = logging.getLogger(__name__)

PAUSE_PER_FILE_SECONDS: Final = 0.001
LONGEST_PAUSE_SECONDS: Final = 30.0
"""A table's files are counted again when this is over: counting 20,000 takes 10 ms."""


class WriterWatch:
    """One writer's metrics, in a registry of its own, and its health.

    Args:
        contracts: the name of the contract of each topic.
        clock: seconds that only go forward.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        contracts: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._contracts = dict(contracts)
        self._clock = clock
        self._wall = wall
        self._handed_over: deque[float] = deque()
        self._count_files_at: dict[str, float] = {}
        self._versions: set[tuple[str, str, str]] = set()
        self.health = Health(clock)
        self.lags = Lags()
        self.registry = CollectorRegistry(auto_describe=True)
        self._make()
        self._show_zeros()

    # -- called by the thread that polls

    def turned(
        self, *, polled_bytes: int, committing_bytes: int, partitions: int | None, waiting: int
    ) -> None:
        """The poll loop went round.

        Args:
            polled_bytes: payload bytes that wait for their flush.
            committing_bytes: payload bytes that were handed to the committer.
            partitions: how many partitions it has; None: it is not in its group.
            waiting: how many of them cannot begin yet.
        """
        self.health.turned()
        self.health.member(partitions, waiting)
        self._buffer_bytes.labels("polled").set(polled_bytes)
        self._buffer_bytes.labels("committing").set(committing_bytes)

    def began(self, source: Source, first: int) -> None:
        """Reading of a source goes on at offset ``first``."""
        self.lags.begin(source, first)

    def dropped(self, source: Source) -> None:
        """A source is no longer this writer's, or is about to begin anew."""
        self.lags.drop(source)

    def polled(self, messages: Messages) -> None:
        """Messages came; each partition's are in the order of their offsets."""
        numbers, offsets = messages.partition.to_numpy(), messages.offset.to_numpy()
        for number in np.unique(numbers).tolist():
            rows = np.flatnonzero(numbers == number)
            source = Source(messages.topic, messages.topic_id, number)
            appended = messages.appended_at[int(rows[0])].value / 1_000_000
            self.lags.polled(source, int(offsets[rows[-1]]), appended)

    def heard(self, ends: Mapping[Source, int]) -> None:
        """Kafka told where sources end: the offset after the last one."""
        self.lags.heard(ends, self._wall())

    def handed_over(self) -> None:
        """A batch went to the committer, which hands back what became of them in their order."""
        self._handed_over.append(self._clock())

    def flushed(self, flushed: Flushed) -> None:
        """A batch is in the tables, but for what another writer had moved."""
        labels = (self._contract(flushed.topic), flushed.topic)
        self._messages.labels(*labels).inc(flushed.messages)
        self._rows.labels(*labels).inc(flushed.rows)
        self._bytes.labels(*labels).inc(flushed.size)
        self._rescued_fields.labels(*labels).inc(flushed.rescued_fields)
        for reason, count in flushed.dead.items():
            self._dead_letters.labels(*labels, reason).inc(count)
        for source in flushed.fenced:
            self._fences.labels(*labels, source.partition).inc()
        if self._handed_over:
            self._flush_seconds.labels(*labels).observe(self._clock() - self._handed_over.popleft())
        self.lags.settled(flushed.landed)

    def under(self, contract: Contract) -> None:
        """A topic is decoded by this contract from now on."""
        name, topic = contract.name, contract.topic
        for labels in [key for key in self._versions if key[:2] == (name, topic)]:
            self._contract_info.remove(*labels)
            self._versions.remove(labels)
        self._versions.add((name, topic, contract.version))
        self._contract_info.labels(name, topic, contract.version).set(1)
        if topic not in self._contracts:
            self._contracts[topic] = name
            self._show_zeros()

    def paused(self, is_paused: bool) -> None:
        """Polling was paused because too much waits for the lake, or goes on."""
        self._paused.set(is_paused)

    # -- called by the thread that asks for rules

    def refused_rules(self, troubles: Mapping[str, str]) -> None:
        """Changes of contracts or tenants that are not taken, with the reasons; none are left."""
        self._rules_refused.set(len(troubles))
        told = "; ".join(f"{what}: {why}" for what, why in sorted(troubles.items()))
        self.health.rules(told or None)

    # -- called by the thread that commits

    def committed(self, table: str, seconds: float, snapshot: DeltaTable) -> None:
        """A table took a commit: ``seconds`` with all tries, and the table as it is now."""
        self.health.lake(None)
        self._commit_seconds.labels(table).observe(seconds)
        self._last_commit.labels(table).set(self._wall())
        self._table_version.labels(table).set(snapshot.version())
        if self._clock() >= self._count_files_at.get(table, 0.0):
            self._count_files(table, snapshot)

    def settled(self) -> None:
        """The lake answered, and nothing was left to commit."""
        self.health.lake(None)

    def conflict(self, table: str, why: str) -> None:
        """A commit failed, or its answer was lost."""
        self.health.lake(why)
        self._conflicts.labels(table).inc()

    def unreadable(self, why: str) -> None:
        """A table could not be opened after a commit that failed."""
        self.health.lake(why)

    # --

    def _count_files(self, table: str, snapshot: DeltaTable) -> None:
        """Count a table's files from its open log."""
        self._count_files_at[table] = self._clock() + LONGEST_PAUSE_SECONDS
        try:
            files = pa.table(snapshot.get_add_actions(flatten=True))
        except (DeltaError, OSError) as error:  # the commit has landed, so this is no failure
            logger.warning("files_not_counted", extra={"table": table, "why": in_one_line(error)})
            return
        self._table_files.labels(table).set(files.num_rows)
        self._table_bytes.labels(table).set(pc.sum(files["size_bytes"]).as_py() or 0)
        pause = min(files.num_rows * PAUSE_PER_FILE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._count_files_at[table] = self._clock() + pause

    def _contract(self, topic: str) -> str:
        return self._contracts.get(topic, topic)

    def _make(self) -> None:
        self._messages = self._counter(metrics.MESSAGES)
        self._rows = self._counter(metrics.ROWS)
        self._bytes = self._counter(metrics.BYTES)
        self._dead_letters = self._counter(metrics.DEAD_LETTERS)
        self._rescued_fields = self._counter(metrics.RESCUED_FIELDS)
        self.registry.register(_LagCollector(self.lags, self._contract, self._wall))
        self._gauge(metrics.PARTITIONS).set_function(lambda: len(self.lags))
        self._flush_seconds = self._histogram(metrics.FLUSH_SECONDS)
        self._commit_seconds = self._histogram(metrics.COMMIT_SECONDS)
        self._conflicts = self._counter(metrics.CONFLICTS)
        self._fences = self._counter(metrics.FENCES)
        self._buffer_bytes = self._gauge(metrics.BUFFER_BYTES)
        self._paused = self._gauge(metrics.PAUSED)
        self._rules_refused = self._gauge(metrics.RULES_REFUSED)
        self._contract_info = self._gauge(metrics.CONTRACT)
        self._gauge(metrics.LAKE_AVAILABLE).set_function(lambda: self.health.is_lake_available)
        self._gauge(metrics.READY).set_function(lambda: self.health.ready().is_well)
        self._last_commit = self._gauge(metrics.LAST_COMMIT)
        self._table_version = self._gauge(metrics.TABLE_VERSION)
        self._table_files = self._gauge(metrics.TABLE_FILES)
        self._table_bytes = self._gauge(metrics.TABLE_BYTES)
        self._gauge(metrics.BUILD).labels(version("lakeward")).set(1)
        ProcessCollector(registry=self.registry)

    def _show_zeros(self) -> None:
        """Make the counters appear before their first event, so that a rate sees the first."""
        for topic, contract in self._contracts.items():
            for counter in (self._messages, self._rows, self._bytes, self._rescued_fields):
                counter.labels(contract, topic)
            for reason in REASONS:
                self._dead_letters.labels(contract, topic, reason)
        for stage in ("polled", "committing"):
            self._buffer_bytes.labels(stage)

    def _counter(self, of: Definition) -> Counter:
        return Counter(of.name, of.meaning, of.labels, registry=self.registry)

    def _gauge(self, of: Definition) -> Gauge:
        return Gauge(of.name, of.meaning, of.labels, registry=self.registry)

    def _histogram(self, of: Definition) -> Histogram:
        return Histogram(of.name, of.meaning, of.labels, buckets=of.buckets, registry=self.registry)


class _LagCollector(Collector):
    """Works the lags out when they are asked for: an age grows without an event."""

    def __init__(
        self, lags: Lags, contract_of: Callable[[str], str], wall: Callable[[], float]
    ) -> None:
        self._lags = lags
        self._contract_of = contract_of
        self._wall = wall

    def describe(self) -> Iterable[Metric]:
        yield from (_family(metrics.LAG_MESSAGES), _family(metrics.LAG_SECONDS))

    def collect(self) -> Iterator[Metric]:
        messages, seconds = _family(metrics.LAG_MESSAGES), _family(metrics.LAG_SECONDS)
        for lag in self._lags.now(self._wall()):
            topic = lag.source.topic
            labels = [self._contract_of(topic), topic, str(lag.source.partition)]
            messages.add_metric(labels, lag.messages)
            seconds.add_metric(labels, lag.seconds)
        yield messages
        yield seconds


def _family(of: Definition) -> GaugeMetricFamily:
    return GaugeMetricFamily(of.name, of.meaning, labels=of.labels)
