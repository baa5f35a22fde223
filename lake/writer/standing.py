"""What a writer has done and how far behind it is, for whoever watches."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from lake.writer.buffer import TopicBuffer
from lake.writer.committer import Committer
from lake.writer.partitions import Partitions
from lake.writer.progress import Progress
from lake.writer.sink import Flushed
from lake.writer.source import Source
from lake.writer.watch import WriterWatch

logger = logging.getLogger(__name__)

PROGRESS_SECONDS: Final = 1.0


class Standing:
    """Counts what became of batches; tells the watch, the progress display, and Kafka."""

    def __init__(
        self,
        consumer: Consumer,
        partitions: Partitions,
        buffers: Mapping[Any, TopicBuffer],
        committer: Committer,
        watch: WriterWatch,
        *,
        is_member: Callable[[], bool],
        on_progress: Callable[[Progress], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing done; everything handed over here is only looked at."""
        self._consumer = consumer
        self._partitions = partitions
        self._cursors = partitions.cursors
        self._buffers = buffers
        self._committer = committer
        self._watch = watch
        self._is_member = is_member
        self._on_progress = on_progress
        self._clock = clock
        self._done = Progress()
        self._began = self._told = clock()

    def settled(self, flushed: Flushed) -> None:
        """A batch is in the tables, but for what another writer had moved."""
        for source, last in flushed.landed.items():
            cursor = self._cursors.get((source.topic, source.partition))
            if cursor is not None and cursor.source == source:
                cursor.settled = last + 1
        self._done = self._done.after(flushed)
        self._watch.flushed(flushed)
        logger.info(
            "flushed",
            extra={
                "topic": flushed.topic,
                "messages": flushed.messages,
                "rows": flushed.rows,
                "dead": sum(flushed.dead.values()),
                "bytes": flushed.size,
                "fenced": len(flushed.fenced),
            },
        )
        self._publish(flushed)

    def tell(self) -> None:
        """Say where the writer is: the metrics always, the progress about once a second."""
        waiting = self._partitions.waiting
        self._watch.turned(
            polled_bytes=sum(buffer.size for buffer in self._buffers.values()),
            committing_bytes=self._committer.waiting_bytes,
            partitions=len(self._cursors) + waiting if self._is_member() else None,
            waiting=waiting,
        )
        now = self._clock()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._on_progress(self.progress())

    def progress(self) -> Progress:
        """Return where the writer is."""
        return replace(
            self._done,
            lag=self._lag(),
            buffered=sum(buffer.messages for buffer in self._buffers.values()),
            seconds=self._clock() - self._began,
            partitions=len(self._cursors),
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

    def _lag(self) -> int | None:
        ends: dict[Source, int] = {}
        lag = 0
        for key, cursor in self._cursors.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
            if high >= 0:
                ends[cursor.source] = high
                lag += max(0, high - cursor.settled)
        self._watch.heard(ends)
        return lag if len(ends) == len(self._cursors) else None
