"""The writer's loop: poll, buffer, flush; and what to do when partitions come and go.

Two threads: this one polls and keeps the buffers, the committer decodes and commits. Positions
come from the tables alone; what is committed to Kafka is for lag displays.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from deltalake.exceptions import DeltaError

from ingest.errors import BrokerError, TopicError
from ingest.kafka import LIBRDKAFKA_LOGGER, client_config
from ingest.settings import IngestSettings
from lake.errors import CommitError, LakePathError, OffsetGapError, in_one_line
from lake.settings import LakeSettings
from lake.writer.batch import Batch
from lake.writer.broker_view import BrokerView
from lake.writer.buffer import Cursor, TopicBuffer, by_source
from lake.writer.committer import Committer
from lake.writer.patience import Patience
from lake.writer.sink import Flushed
from lake.writer.sinks import Sinks
from lake.writer.start import HINT, StartingPoints, TopicPartitionKey

logger = logging.getLogger(__name__)

POLL_MESSAGES: Final = 10_000
POLL_SECONDS: Final = 0.1
ID_CHECK_SECONDS: Final = 5.0
PROGRESS_SECONDS: Final = 1.0
EMBEDDED_SESSION_SECONDS: Final = 6.0
MAX_POLL_SECONDS: Final = 300.0
RESETS_IN_A_ROW: Final = 3
BATCHES_WAITING: Final = 4
SILENT_BROKER_SECONDS: Final = 30.0
BEGIN_AGAIN_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
"""Pauses between tries to begin while the lake or the broker is away; the last one repeats."""

AWAY: Final = (BrokerError, CommitError, LakePathError, DeltaError, OSError)
"""What is raised when the lake or the broker does not answer."""
ASK_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run of the writer has done so far."""

    messages: int = 0
    """Messages whose fate is settled in the tables."""
    rows: int = 0
    """Bronze rows."""
    dead: Mapping[str, int] = field(default_factory=dict)
    """Dead letters by reason."""
    rescued_fields: int = 0
    commits: int = 0
    fenced: int = 0
    """How often another writer had moved a partition."""
    lag: int | None = None
    """Messages in Kafka that are not in the tables yet, as last heard; None: not heard."""
    buffered: int = 0
    """Messages polled and not yet handed to a commit."""
    seconds: float = 0.0
    partitions: int = 0
    """Partitions this process holds."""


class WriterLoop:
    """Reads the topics of ``sinks`` until stopped or, when asked to, until it has caught up."""

    def __init__(
        self,
        ingest: IngestSettings,
        lake: LakeSettings,
        sinks: Sinks,
        view: BrokerView,
        points: StartingPoints,
        *,
        is_static: bool,
        is_embedded: bool,
        until_current: bool,
        stop: threading.Event,
        patience: Patience | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake = lake
        self._sinks = sinks
        self._view = view
        self._points = points
        self._is_static = is_static
        self._until_current = until_current
        self._stop = stop
        self._patience = patience
        self._on_progress = on_progress
        self._clock = clock
        self._is_embedded = is_embedded
        self._cursors: dict[TopicPartitionKey, Cursor] = {}
        self._buffers: dict[tuple[str, str], TopicBuffer] = {}
        self._targets: dict[TopicPartitionKey, int] = {}
        self._seeks: dict[TopicPartitionKey, int] = {}
        self._waiting: set[TopicPartitionKey] = set()
        self._begin_at = 0.0
        self._begin_tries = 0
        self._resets: Counter[TopicPartitionKey] = Counter()
        self._failure: Exception | None = None
        self._is_ending = False
        self._progress = Progress()
        self._began = clock()
        self._ids_checked = clock()
        self._silent_since: float | None = None
        self._told = clock()
        self._committer = Committer(self._write)
        self._consumer = Consumer(self._configuration(ingest), logger=LIBRDKAFKA_LOGGER)

    def run(self) -> Progress:
        """Run to the end and return what was done.

        Raises:
            LakewardError: a gap in the offsets, a limit, a table or a broker that does not answer.
        """
        try:
            self._join()
            while True:
                while not self._stop.is_set() and not self._has_caught_up():
                    self._turn()
                fenced = self._finish()
                if self._stop.is_set() or not (self._until_current and fenced):
                    break
                self._resync(fenced)  # another writer moved them, maybe not as far as asked
            return self._told_progress()
        except KafkaException as failure:
            raise BrokerError(f"Kafka refuses this writer: {failure.args[0].str()}") from failure
        finally:
            # after a failure the buffers are dropped: the tables say where to go on
            self._is_ending = True
            if self._patience is not None:
                self._patience.end()
            self._cursors.clear()
            self._buffers.clear()
            self._committer.close()
            self._consumer.close()

    def _turn(self) -> None:
        self._hold_back()
        self._take(self._consumer.consume(POLL_MESSAGES, POLL_SECONDS))
        self._flush_due()
        self._resync(self._serve_results())
        self._begin_waiting()
        self._retry_seeks()
        self._check_topic_ids()
        self._check_broker()
        self._tell()

    # -- partitions come and go

    def _join(self) -> None:
        if self._is_static:
            keys = self._view.partitions(self._sinks.topics)
            self._consumer.assign(self._begin(keys))
            if self._until_current and not self._is_embedded:
                self._targets = self._view.stable_ends(keys)
        else:
            self._view.partitions(self._sinks.topics)  # a missing topic is told at once
            self._consumer.subscribe(
                self._sinks.topics,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )

    def _begin(self, keys: Iterable[TopicPartitionKey]) -> list[TopicPartition]:
        """Make a cursor for each partition, from the tables and what Kafka offers."""
        wanted = list(keys)
        seconds = MAX_POLL_SECONDS if self._patience is None else self._session_seconds / 2
        if not self._committer.wait(0, seconds):
            raise CommitError("the lake takes no commit while partitions are taken over")
        starts = self._points.find(self._view.offered(wanted))
        for key, start in starts.items():
            self._cursors[key] = Cursor.at(start.source, start.held, start.first)
            logger.info(
                "partition_begins",
                extra={"source": str(start.source), "held": start.held, "first": start.first},
            )
        return [TopicPartition(*key, starts[key].first) for key in wanted]

    def _begin_or_wait(self, keys: Iterable[TopicPartitionKey]) -> list[TopicPartition]:
        """Begin, or where the lake or the broker is away note that this is still to be done.

        A writer that is to end does not wait: it fails.
        """
        wanted = list(keys)
        try:
            begun = self._begin(wanted)
        except AWAY as failure:
            if self._patience is None or self._patience.is_over:
                raise
            self._waiting.update(wanted)
            pause = BEGIN_AGAIN_SECONDS[min(self._begin_tries, len(BEGIN_AGAIN_SECONDS) - 1)]
            self._begin_tries += 1
            self._begin_at = self._clock() + pause
            logger.warning(
                "cannot_begin", extra={"partitions": len(wanted), "why": in_one_line(failure)}
            )
            return []
        self._begin_tries = 0
        return begun

    def _begin_waiting(self) -> None:
        """Try again to begin what could not begin; those partitions are paused until then."""
        if not self._waiting or self._clock() < self._begin_at:
            return
        begun = self._begin_or_wait(sorted(self._waiting))
        self._seek(begun)
        if begun:
            self._waiting.clear()
            self._consumer.resume(begun)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._drop(self._cursors)
            keys = [(tp.topic, tp.partition) for tp in partitions]
            begun = self._begin_or_wait(keys)
            consumer.assign(begun or [TopicPartition(*key, OFFSET_END) for key in keys])
            if self._waiting:
                consumer.pause(partitions)
            elif self._patience is not None:
                consumer.resume(partitions)  # in case they were paused when they went
        except Exception as error:  # noqa: BLE001 - raised by the loop, not through librdkafka
            self._failure = error
            consumer.assign([])

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Finish what is buffered, so that the next owner begins after it; drop what is left."""
        logger.info("partitions_revoked", extra={"partitions": len(partitions)})
        try:
            self._flush(list(self._buffers.values()))
            if not self._committer.wait(0, self._session_seconds / 2):
                logger.warning("revoked_before_commit", extra={"partitions": len(partitions)})
            self._serve_results()
        except Exception as error:  # noqa: BLE001 - raised by the loop, not through librdkafka
            self._failure = error
        self._drop((tp.topic, tp.partition) for tp in partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Drop what is buffered: another writer may have it already."""
        logger.warning("partitions_lost", extra={"partitions": len(partitions)})
        self._drop((tp.topic, tp.partition) for tp in partitions)

    def _drop(self, keys: Iterable[TopicPartitionKey]) -> None:
        for key in list(keys):
            cursor = self._cursors.pop(key, None)
            self._seeks.pop(key, None)
            self._waiting.discard(key)
            if cursor is not None:
                buffer = self._buffers.get((cursor.source.topic, cursor.source.topic_id))
                if buffer is not None:
                    buffer.drop(cursor.source)

    def _resync(self, keys: Iterable[TopicPartitionKey]) -> None:
        """Forget what was buffered for partitions and go on from what the tables hold."""
        ours = [key for key in keys if key in self._cursors]
        if not ours:
            return
        self._drop(ours)
        self._seek(self._begin_or_wait(ours))
        if self._waiting:
            self._consumer.pause([TopicPartition(*key) for key in ours])

    def _seek(self, positions: Iterable[TopicPartition]) -> None:
        for position in positions:
            key = position.topic, position.partition
            self._cursors[key].is_seeking = True
            self._seeks[key] = position.offset
        self._retry_seeks()

    def _retry_seeks(self) -> None:
        for key, offset in list(self._seeks.items()):
            try:
                self._consumer.seek(TopicPartition(*key, offset))
            except KafkaException as failure:
                logger.info("seek_again", extra={"partition": str(key), "why": str(failure)})
                continue
            del self._seeks[key]
            self._cursors[key].is_seeking = False

    # -- messages

    def _take(self, polled: list[Message]) -> None:
        if self._failure is not None:
            raise self._failure
        if not polled:
            return
        self._silent_since = None
        messages = [message for message in polled if message.error() is None]
        now = self._clock()
        if messages:
            for cursor, theirs in by_source(messages, self._cursors):
                self._buffer(cursor).add(theirs, now)
                self._resets.pop((cursor.source.topic, cursor.source.partition), None)
        if len(messages) != len(polled):
            for message in polled:
                error = message.error()
                if error is not None:
                    key = message.topic() or "", message.partition() or 0
                    if error.code() == KafkaError._PARTITION_EOF:
                        self._take_end(key, message.offset() or 0, now)
                    else:
                        self._take_error(key, error)

    def _take_end(self, key: TopicPartitionKey, end: int, now: float) -> None:
        cursor = self._cursors.get(key)
        if cursor is None or cursor.is_seeking:
            return
        cursor.has_reached_end = True
        if end - 1 > cursor.last:
            # only transaction markers, aborted or compacted messages lie between: pass them too
            cursor.last = end - 1
            self._buffer(cursor).touch(now)

    def _take_error(self, key: TopicPartitionKey, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._out_of_range(key, error)
        elif error.code() in _TOPIC_GONE:
            raise TopicError(
                f"the topic {key[0]} can no longer be read: {error.str()}",
                hint="Was it deleted, or the right to read it taken away?",
            )
        elif error.code() in _NEVER_A_MEMBER:
            raise BrokerError(
                f"Kafka does not let this writer into its group: {error.str()}",
                hint=_NEVER_A_MEMBER[error.code()],
            )
        elif error.code() == KafkaError._MAX_POLL_EXCEEDED:
            # the partitions are lost; librdkafka joins again at the next poll
            logger.warning("poll_came_too_late", extra={"why": error.str()})
            self._drop(self._cursors)
        elif error.fatal() or not error.retriable():
            logger.warning("consumer_error", extra={"why": error.str(), "error": error.name()})
            if error.fatal():
                raise BrokerError(f"Kafka refuses this writer: {error.str()}")
        else:
            logger.info("consumer_error", extra={"why": error.str(), "error": error.name()})

    def _out_of_range(self, key: TopicPartitionKey, error: KafkaError) -> None:
        """Kafka has not the next offset: finish what is here, then look, and refuse or go on."""
        self._flush(list(self._buffers.values()))
        self._resets[key] += 1
        if self._resets[key] > RESETS_IN_A_ROW:
            raise OffsetGapError(
                f"{key[0]}[{key[1]}]: Kafka keeps refusing offset "
                f"{self._cursors[key].first if key in self._cursors else '?'}: {error.str()}",
                hint=HINT,
            )
        self._resync([key])

    def _buffer(self, cursor: Cursor) -> TopicBuffer:
        key = cursor.source.topic, cursor.source.topic_id
        if key not in self._buffers:
            self._buffers[key] = TopicBuffer(*key)
        return self._buffers[key]

    def _hold_back(self) -> None:
        """Bound the memory: poll no more while too much waits for the committer."""
        limit = 2 * self._lake.flush_bytes
        paused: set[TopicPartitionKey] = set()
        while self._committer.waiting_bytes >= limit and self._committer.failure is None:
            if self._committer.wait(limit, min(1.0, self._session_seconds / 4)):
                break
            # the store is slow: stay a live member of the group without taking more in; what a
            # rebalance brings meanwhile is paused too
            new = self._cursors.keys() - paused
            if new:
                self._consumer.pause([TopicPartition(*key) for key in new])
            if new and not paused:
                logger.warning(
                    "paused", extra={"bytes": self._committer.waiting_bytes, "limit": limit}
                )
            paused |= new
            self._take(self._consumer.consume(POLL_MESSAGES, 0))
            self._tell()
        if paused:
            self._consumer.resume([TopicPartition(*key) for key in paused & self._cursors.keys()])
            logger.info("resumed", extra={"partitions": len(paused)})

    # -- flushing

    def _flush_due(self) -> None:
        now = self._clock()
        # behind a slow store small batches would only queue up; they become a large one instead
        is_behind = self._committer.waiting >= BATCHES_WAITING
        due = [
            buffer
            for buffer in self._buffers.values()
            if buffer.size >= self._lake.flush_bytes
            or (
                not is_behind
                and buffer.since is not None
                and now - buffer.since >= self._lake.flush_seconds
            )
        ]
        self._flush(due)

    def _flush(self, buffers: list[TopicBuffer]) -> None:
        for buffer in buffers:
            if buffer.since is None:
                continue
            parts = [
                part
                for cursor in self._cursors.values()
                if (cursor.source.topic, cursor.source.topic_id) == (buffer.topic, buffer.topic_id)
                and (part := cursor.take_part()) is not None
            ]
            batch = buffer.take(parts)
            if parts:
                self._committer.submit(batch)

    def _write(self, batch: Batch) -> Flushed:
        """Commit a batch, after Kafka said that the topic is still the one that was polled.

        As long as nobody says so the batch waits: a topic made again is read on under its name,
        and its messages must not be written under the offsets of the old one.
        """
        began = self._clock()
        while True:
            try:
                present = self._view.topic_id(batch.topic)
                break
            except BrokerError as failure:
                is_late = self._clock() - began > SILENT_BROKER_SECONDS
                is_over = self._is_ending or (self._until_current and is_late)
                if is_over or self._stop.wait(ASK_AGAIN_SECONDS):
                    raise
                logger.warning("topic_not_confirmed", extra={"why": failure.message})
        if present is not None and present != batch.topic_id.partition("#")[0]:
            raise _made_again(batch.topic, batch.topic_id, present)
        return self._sinks[batch.topic].write(batch)

    def _serve_results(self) -> set[TopicPartitionKey]:
        """Count what became of batches; return the partitions that another writer had moved."""
        fenced: set[TopicPartitionKey] = set()
        for flushed in self._committer.results():
            self._count(flushed)
            self._publish(flushed)
            fenced |= {(source.topic, source.partition) for source in flushed.fenced}
        if self._committer.failure is not None:
            raise self._committer.failure
        return fenced

    def _count(self, flushed: Flushed) -> None:
        for source, last in flushed.landed.items():
            cursor = self._cursors.get((source.topic, source.partition))
            if cursor is not None and cursor.source == source:
                cursor.settled = last + 1
        done = self._progress
        self._progress = replace(
            done,
            messages=done.messages + flushed.messages,
            rows=done.rows + flushed.rows,
            dead=dict(Counter(done.dead) + flushed.dead),
            rescued_fields=done.rescued_fields + flushed.rescued_fields,
            commits=done.commits + bool(flushed.landed),
            fenced=done.fenced + len(flushed.fenced),
        )

        logger.info(
            "flushed",
            extra={
                "topic": flushed.batch.topic,
                "messages": flushed.messages,
                "rows": flushed.rows,
                "dead": sum(flushed.dead.values()),
                "bytes": flushed.batch.size,
                "fenced": len(flushed.fenced),
            },
        )

    def _publish(self, flushed: Flushed) -> None:
        """Tell Kafka the positions, so that its tools show a lag; nobody reads them back."""
        positions = [
            TopicPartition(source.topic, source.partition, last + 1)
            for source, last in flushed.landed.items()
            if (source.topic, source.partition) in self._cursors
        ]
        if not positions:
            return
        try:
            self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as failure:
            logger.info("lag_not_published", extra={"why": str(failure)})

    def _finish(self) -> set[TopicPartitionKey]:
        """Commit what is buffered; return the partitions that another writer had moved."""
        self._flush(list(self._buffers.values()))
        self._committer.wait(0, MAX_POLL_SECONDS)
        return self._serve_results()

    # -- knowing where we are

    def _has_caught_up(self) -> bool:
        if not self._until_current or (not self._cursors and not self._is_static):
            return False
        return not self._seeks and all(
            cursor.has_reached_end
            or (key in self._targets and cursor.last + 1 >= self._targets[key])
            for key, cursor in self._cursors.items()
        )

    def _check_topic_ids(self) -> None:
        now = self._clock()
        if now - self._ids_checked < ID_CHECK_SECONDS:
            return
        self._ids_checked = now
        for topic, topic_id in {
            (c.source.topic, c.source.topic_id) for c in self._cursors.values()
        }:
            try:
                present = self._view.topic_id(topic)
            except BrokerError:
                return  # asked again before each commit
            if present is not None and present != topic_id.partition("#")[0]:
                self._flush(list(self._buffers.values()))
                raise _made_again(topic, topic_id, present)

    def _note_broker(self, error: KafkaError) -> None:
        """Called by librdkafka, from within consume."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            if self._silent_since is None:
                self._silent_since = self._clock()
                logger.warning("broker_silent", extra={"why": error.str()})
        else:
            logger.info("broker_error", extra={"why": error.str(), "error": error.name()})

    def _check_broker(self) -> None:
        """An always-on writer waits for its broker; one that is to end does not wait for ever."""
        silent = self._silent_since
        if silent is None or not self._until_current:
            return
        if self._clock() - silent > SILENT_BROKER_SECONDS:
            raise BrokerError(
                f"Kafka has not answered for {SILENT_BROKER_SECONDS:.0f} s",
                hint="What was read is in the tables; run the same again when the broker is up.",
            )

    def _tell(self) -> None:
        now = self._clock()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._on_progress(self._told_progress())

    def _told_progress(self) -> Progress:
        return replace(
            self._progress,
            lag=self._lag(),
            buffered=sum(len(buffer.polled) for buffer in self._buffers.values()),
            seconds=self._clock() - self._began,
            partitions=len(self._cursors),
        )

    def _lag(self) -> int | None:
        lag = 0
        for key, cursor in self._cursors.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
            if high < 0:
                return None
            lag += max(0, high - cursor.settled)
        return lag

    @property
    def _session_seconds(self) -> float:
        if self._is_embedded:
            return min(EMBEDDED_SESSION_SECONDS, self._lake.session_seconds)
        return self._lake.session_seconds

    def _configuration(self, ingest: IngestSettings) -> dict[str, Any]:
        session = int(self._session_seconds * 1000)
        # the embedded broker's group joins wait for max.poll.interval.ms
        poll = session if self._is_embedded else max(session, int(MAX_POLL_SECONDS * 1000))
        configuration: dict[str, Any] = {
            "session.timeout.ms": session,
            "heartbeat.interval.ms": min(3000, session // 3),
            "max.poll.interval.ms": poll,
            "fetch.wait.max.ms": 100,
            "fetch.queue.backoff.ms": 50,
            "queued.max.messages.kbytes": max(1024, self._lake.flush_bytes // 1024),
            **client_config(ingest),
            "group.id": self._lake.writer_name,
            "group.protocol": "classic",
            "partition.assignment.strategy": "range,roundrobin",  # all are given up, then assigned
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "error_cb": self._note_broker,
        }
        if self._lake.writer_instance is not None and not self._is_static:
            configuration["group.instance.id"] = self._lake.writer_instance
        return configuration


_TOPIC_GONE: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)

_NEVER_A_MEMBER: Final = {
    KafkaError.INVALID_SESSION_TIMEOUT: "LAKEWARD_SESSION_SECONDS must lie between the broker's "
    "group.min.session.timeout.ms (by default 6 s) and group.max.session.timeout.ms.",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "The user needs the right to read as this group; its "
    "name is LAKEWARD_WRITER_NAME.",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "Another program is in a group of this name: give "
    "this writer another LAKEWARD_WRITER_NAME, before its first commit.",
    KafkaError.INVALID_GROUP_ID: "The group's name is LAKEWARD_WRITER_NAME.",
}


def _made_again(topic: str, before: str, present: str) -> OffsetGapError:
    return OffsetGapError(
        f"the topic {topic} was deleted and made again while it was read: id {before} before, "
        f"{present} now",
        hint=HINT,
    )
