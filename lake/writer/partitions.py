"""The partitions a writer holds: they come and go, and each begins where the tables say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from deltalake.exceptions import DeltaError

from ingest.errors import BrokerError
from lake.errors import CommitError, LakePathError, in_one_line
from lake.writer.broker_view import BrokerView
from lake.writer.cursor import Cursor
from lake.writer.patience import Patience
from lake.writer.source import Source
from lake.writer.start import StartingPoints, TopicPartitionKey

logger = logging.getLogger(__name__)

BEGIN_AGAIN_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
"""Pauses between tries to begin while the lake or the broker is away; the last one repeats."""

AWAY: Final = (BrokerError, CommitError, LakePathError, DeltaError, OSError)
"""What is raised when the lake or the broker does not answer."""


class Partitions:
    """A cursor for each partition, and the consumer's position kept in step with it."""

    def __init__(
        self,
        consumer: Consumer,
        view: BrokerView,
        points: StartingPoints,
        *,
        is_idle: Callable[[], bool],
        forget: Callable[[Source], None],
        begun: Callable[[Source, int], None],
        patience: Patience | None,
        clock: Callable[[], float],
    ) -> None:
        """Begin with none.

        Args:
            consumer: assigned, paused and sought here.
            view: what Kafka offers.
            points: where to begin.
            is_idle: waits until no commit is under way; false when that takes too long.
            forget: drops what is buffered of a source.
            begun: is told from which offset a source is read.
            patience: how long to wait for a lake or a broker that is away; None: not at all.
            clock: monotonic, in seconds.
        """
        self.cursors: dict[TopicPartitionKey, Cursor] = {}
        self._consumer = consumer
        self._view = view
        self._points = points
        self._is_idle = is_idle
        self._forget = forget
        self._begun = begun
        self._patience = patience
        self._clock = clock
        self._seeks: dict[TopicPartitionKey, int] = {}
        self._waiting: set[TopicPartitionKey] = set()
        self._begin_at = 0.0
        self._begin_tries = 0

    @property
    def is_seeking(self) -> bool:
        """True while the consumer has not yet been told to go on from some cursor."""
        return bool(self._seeks)

    @property
    def waiting(self) -> int:
        """How many partitions cannot begin yet."""
        return len(self._waiting)

    def begin(self, keys: Iterable[TopicPartitionKey]) -> list[TopicPartition]:
        """Make a cursor for each partition, from the tables and what Kafka offers.

        Raises:
            CommitError: commits that are under way do not end.
            LakewardError: a gap in the offsets; the lake or the broker is away.
        """
        wanted = list(keys)
        if not self._is_idle():
            raise CommitError("the lake takes no commit while partitions are taken over")
        try:
            starts = self._points.find(self._view.offered(wanted))
        except (DeltaError, OSError) as error:
            raise LakePathError(
                f"the lake went away while partitions were taken over: {in_one_line(error)}",
                hint="Nothing is lost: the next run begins where the tables end.",
            ) from error
        for key, start in starts.items():
            self.cursors[key] = Cursor.at(start.source, start.held, start.first)
            self._begun(start.source, start.first)
            logger.info(
                "partition_begins",
                extra={"source": str(start.source), "held": start.held, "first": start.first},
            )
        return [TopicPartition(*key, starts[key].first) for key in wanted]

    def assign(self, consumer: Consumer, partitions: list[TopicPartition], nowhere: int) -> None:
        """Take what a rebalance gives, and nothing else; what cannot begin yet is paused."""
        self.drop(self.cursors)
        keys = [(tp.topic, tp.partition) for tp in partitions]
        begun = self._begin_or_wait(keys)
        consumer.assign(begun or [TopicPartition(*key, nowhere) for key in keys])
        if self._waiting:
            consumer.pause(partitions)
        elif self._patience is not None:
            consumer.resume(partitions)  # in case they were paused when they went

    def drop(self, keys: Iterable[TopicPartitionKey]) -> None:
        """Forget partitions and what is buffered of them."""
        for key in list(keys):
            cursor = self.cursors.pop(key, None)
            self._seeks.pop(key, None)
            self._waiting.discard(key)
            if cursor is not None:
                self._forget(cursor.source)

    def resync(self, keys: Iterable[TopicPartitionKey]) -> None:
        """Forget what was buffered for partitions and go on from what the tables hold."""
        ours = [key for key in keys if key in self.cursors]
        if not ours:
            return
        self.drop(ours)
        self._seek(self._begin_or_wait(ours))
        if self._waiting:
            self._consumer.pause([TopicPartition(*key) for key in ours])

    def catch_up_with_duties(self) -> None:
        """Try again what could not be done before: to begin, and to seek."""
        if self._waiting and self._clock() >= self._begin_at:
            begun = self._begin_or_wait(sorted(self._waiting))
            self._seek(begun)
            if begun:
                self._waiting.clear()
                self._consumer.resume(begun)
        self._retry_seeks()

    def _begin_or_wait(self, keys: Iterable[TopicPartitionKey]) -> list[TopicPartition]:
        """Begin, or where the lake or the broker is away note that this is still to be done.

        A writer that is to end does not wait: it fails.
        """
        wanted = list(keys)
        try:
            begun = self.begin(wanted)
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

    def _seek(self, positions: Iterable[TopicPartition]) -> None:
        for position in positions:
            key = position.topic, position.partition
            self.cursors[key].is_seeking = True
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
            self.cursors[key].is_seeking = False
