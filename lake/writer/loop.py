"""The writer's loop: poll, buffer, flush.

Three threads: this one polls and keeps the buffers, the second decodes what is buffered, the third
commits what is due. Positions come from the tables alone; what is committed to Kafka is for lag
displays.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from ingest.errors import BrokerError
from ingest.kafka import LIBRDKAFKA_LOGGER
from ingest.settings import IngestSettings
from lake.errors import OffsetGapError
from lake.settings import LakeSettings
from lake.writer.batch import Batch
from lake.writer.broker_view import BrokerView
from lake.writer.buffer import TopicBuffer
from lake.writer.committer import Committer
from lake.writer.consuming import MAX_POLL_SECONDS, configuration, fatal, session_seconds
from lake.writer.decoding import Decoding
from lake.writer.leaving import close_in_time
from lake.writer.live_rules import LiveRules
from lake.writer.messages import Decoded, Messages
from lake.writer.partitions import Partitions
from lake.writer.patience import Patience
from lake.writer.polled import sorted_in
from lake.writer.progress import Progress
from lake.writer.rule_change import put_in_force
from lake.writer.same_topic import SameTopic
from lake.writer.silence import SILENT_BROKER_SECONDS, Silence
from lake.writer.sink import Flushed
from lake.writer.sinks import Sinks
from lake.writer.source import Source
from lake.writer.standing import Standing
from lake.writer.start import HINT, StartingPoints, TopicPartitionKey
from lake.writer.watch import WriterWatch

logger = logging.getLogger(__name__)

POLL_MESSAGES: Final = 2_000
"""So few that the objects of one poll take up the memory that those of the last one left."""
POLL_SECONDS: Final = 0.1
ID_CHECK_SECONDS: Final = 5.0
RESETS_IN_A_ROW: Final = 3
BATCHES_WAITING: Final = 4


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
        watch: WriterWatch | None = None,
        rules: LiveRules | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake = lake
        self._sinks = sinks
        self._view = view
        self._is_static = is_static
        self._until_current = until_current
        self._stop = stop
        self._patience = patience
        self._watch = WriterWatch({}) if watch is None else watch
        self._rules = rules
        self._is_member = False
        self._clock = clock
        self._is_embedded = is_embedded
        self._session_seconds = session_seconds(lake, is_embedded=is_embedded)
        self._buffers: dict[tuple[str, str], TopicBuffer] = {}
        self._all: list[TopicPartitionKey] = []
        """What a static writer reads."""
        self._targets: dict[TopicPartitionKey, int] = {}
        self._resets: Counter[TopicPartitionKey] = Counter()
        self._failure: Exception | None = None
        self._ids_checked = clock()
        self._silence = Silence(self._watch.health.kafka, clock)
        self._same_topic = SameTopic(
            view, stop, longest=SILENT_BROKER_SECONDS if until_current else None, clock=clock
        )
        self._decoding = Decoding(self._decode)
        self._committer = Committer(self._write)
        self._consumer = Consumer(
            configuration(
                ingest,
                lake,
                is_embedded=is_embedded,
                is_static=is_static,
                on_error=self._silence.note,
            ),
            logger=LIBRDKAFKA_LOGGER,
        )
        self._partitions = Partitions(
            self._consumer,
            view,
            points,
            is_idle=self._is_idle,
            forget=self._forget,
            begun=self._watch.began,
            patience=patience,
            clock=clock,
        )
        self._cursors = self._partitions.cursors
        self._standing = Standing(
            self._consumer,
            self._partitions,
            self._buffers,
            self._committer,
            self._watch,
            is_member=lambda: self._is_member,
            on_progress=on_progress,
            clock=clock,
        )

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
                self._watch.health.ending()
                fenced = self._finish()
                if self._stop.is_set() or not (self._until_current and fenced):
                    break
                # another writer moved them, maybe not as far as asked
                self._partitions.resync(fenced)
            return self._standing.progress()
        except KafkaException as failure:
            raise BrokerError(f"Kafka refuses this writer: {failure.args[0].str()}") from failure
        finally:
            # after a failure the buffers are dropped: the tables say where to go on
            self._same_topic.end()
            if self._patience is not None:
                self._patience.end()
            self._cursors.clear()
            self._buffers.clear()
            self._committer.close()
            self._decoding.close()
            close_in_time(self._consumer)

    def _turn(self) -> None:
        self._hold_back()
        self._take(self._consumer.consume(POLL_MESSAGES, POLL_SECONDS))
        self._flush_due()
        self._partitions.resync(self._serve_results())
        self._partitions.catch_up_with_duties()
        self._check_topic_ids()
        self._take_new_rules()
        if self._until_current:
            self._silence.refuse_to_wait()
        self._standing.tell()

    # -- partitions come and go

    def _join(self) -> None:
        if self._is_static:
            self._all = self._view.partitions(self._sinks.topics)
            self._consumer.assign(self._partitions.begin(self._all))
            self._is_member = True
            if self._until_current and not self._is_embedded:
                self._targets = self._view.stable_ends(self._all)
        else:
            self._view.partitions(self._sinks.topics)  # a missing topic is told at once
            self._subscribe()

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            self._sinks.topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _is_idle(self) -> bool:
        """Wait until what was handed to the committer is settled; False when time is up."""
        seconds = MAX_POLL_SECONDS if self._patience is None else self._session_seconds / 2
        return self._committer.wait(0, seconds)

    def _forget(self, source: Source) -> None:
        buffer = self._buffers.get((source.topic, source.topic_id))
        if buffer is not None:
            buffer.drop(source)
        self._watch.dropped(source)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._partitions.assign(consumer, partitions, OFFSET_END)
            self._is_member = True
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
        self._is_member = False
        self._partitions.drop((tp.topic, tp.partition) for tp in partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Drop what is buffered: another writer may have it already."""
        logger.warning("partitions_lost", extra={"partitions": len(partitions)})
        self._is_member = False
        self._partitions.drop((tp.topic, tp.partition) for tp in partitions)

    # -- rules that change

    def _take_new_rules(self) -> None:
        """Change the rules between two batches.

        What older ones have decoded is committed under their claim. Then the topic's partitions
        are taken over anew, which claims them for the new rules.
        """
        if self._rules is None or not (news := self._rules.news()):
            return
        self._flush(list(self._buffers.values()))
        if not self._committer.wait(0, self._session_seconds / 4):
            logger.info("rules_put_off", extra={"waiting": self._committer.waiting})
            return  # they are offered again
        moved = self._serve_results()
        changed = put_in_force(news, self._rules, self._sinks, self._view)
        self._partitions.resync(moved | {key for key in self._cursors if key[0] in changed.topics})
        if changed.new and self._is_static:
            self._all += changed.new
            every = [TopicPartition(*key) for key in self._all]
            self._partitions.assign(self._consumer, every, OFFSET_END)
        elif changed.new:
            self._subscribe()

    # -- messages

    def _take(self, polled: list[Message]) -> None:
        if self._failure is not None:
            raise self._failure
        if not polled:
            return
        self._silence.broken()
        self._watch.health.kafka(None)
        failed = [message for message in polled if message.error() is not None]
        messages = polled
        if failed:
            messages = [message for message in polled if message.error() is None]
        now = self._clock()
        for chunk in sorted_in(messages, self._cursors):
            self._buffer(chunk.topic, chunk.topic_id).add(chunk, now)
            self._watch.polled(chunk)
            if self._resets:
                for number in chunk.partition.unique().to_pylist():
                    self._resets.pop((chunk.topic, number), None)
        for message in failed:
            key, error = (message.topic() or "", message.partition() or 0), message.error()
            assert error is not None
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
            self._buffer(cursor.source.topic, cursor.source.topic_id).touch(now)

    def _take_error(self, key: TopicPartitionKey, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._out_of_range(key, error)
        elif error.code() == KafkaError._MAX_POLL_EXCEEDED:
            # the partitions are lost; librdkafka joins again at the next poll
            logger.warning("poll_came_too_late", extra={"why": error.str()})
            self._is_member = False
            self._partitions.drop(self._cursors)
        elif (failure := fatal(key[0], error)) is not None:
            raise failure
        elif not error.retriable():
            logger.warning("consumer_error", extra={"why": error.str(), "error": error.name()})
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
        self._partitions.resync([key])

    def _buffer(self, topic: str, topic_id: str) -> TopicBuffer:
        key = topic, topic_id
        if key not in self._buffers:
            self._buffers[key] = TopicBuffer(topic, topic_id, self._decoding.begin)
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
                self._watch.paused(True)
            if new and not paused:
                # how one that catches up goes on; a lake that is away has a warning of its own
                logger.info(
                    "paused", extra={"bytes": self._committer.waiting_bytes, "limit": limit}
                )
            paused |= new
            self._take(self._consumer.consume(POLL_MESSAGES, 0))
            self._standing.tell()
        if paused:
            self._watch.paused(False)
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
                self._watch.handed_over()
                self._committer.submit(batch)

    def _decode(self, messages: Messages) -> Decoded:
        return self._sinks[messages.topic].decode(messages)

    def _write(self, batch: Batch) -> Flushed:
        """Commit a batch, after Kafka said that the topic is still the one that was polled."""
        self._same_topic.confirm(batch.topic, batch.topic_id)
        return self._sinks[batch.topic].write(batch)

    def _serve_results(self) -> set[TopicPartitionKey]:
        """Count what became of batches; return the partitions that another writer had moved."""
        fenced: set[TopicPartitionKey] = set()
        for flushed in self._committer.results():
            self._standing.settled(flushed)
            fenced |= {(source.topic, source.partition) for source in flushed.fenced}
        if self._committer.failure is not None:
            self._watch.health.failed(str(self._committer.failure))
            raise self._committer.failure
        return fenced

    def _finish(self) -> set[TopicPartitionKey]:
        """Commit what is buffered; return the partitions that another writer had moved."""
        self._flush(list(self._buffers.values()))
        self._committer.wait(0, MAX_POLL_SECONDS)
        return self._serve_results()

    # -- knowing where we are

    def _has_caught_up(self) -> bool:
        if not self._until_current or (not self._cursors and not self._is_static):
            return False
        return not self._partitions.is_seeking and all(
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
                self._same_topic.check(topic, topic_id)
            except BrokerError as failure:
                self._watch.health.kafka(failure.message)
                return  # asked again before each commit
            except OffsetGapError:
                self._flush(list(self._buffers.values()))
                raise
            self._watch.health.kafka(None)
