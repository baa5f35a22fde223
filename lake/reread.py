"""Read offsets of a Kafka partition, apart from every consumer group."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from ingest.errors import BrokerError
from ingest.kafka import LIBRDKAFKA_LOGGER, client_config
from ingest.settings import IngestSettings
from lake.writer.polled import TIMESTAMPS_MS
from lake.writer.start import TopicPartitionKey

POLL_MESSAGES: Final = 10_000
POLL_SECONDS: Final = 0.2
SILENT_SECONDS: Final = 30.0
CHUNK_MESSAGES: Final = 50_000
CHUNK_BYTES: Final = 16 * 2**20
OLDEST_SECONDS: Final = 10.0


class OffsetExpiredError(Exception):
    """Kafka let go of the next offset while it was read; never shown to a user."""


class Reread:
    """Reads committed messages in the order of their offsets; a context manager's worth of one use.

    Args:
        settings: which broker.
        chunk_messages: most messages handed out at once.
        chunk_bytes: about how many payload bytes are handed out at once.
    """

    def __init__(
        self,
        settings: IngestSettings,
        *,
        chunk_messages: int = CHUNK_MESSAGES,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._chunk_messages = chunk_messages
        self._chunk_bytes = chunk_bytes
        self._consumer = _consumer(settings)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def chunks(self, key: TopicPartitionKey, first: int, last: int) -> Iterator[list[Message]]:
        """Yield the messages with offsets from ``first`` to ``last``, in order, none of them twice.

        Fewer come where offsets carry no message, or Kafka ends sooner.

        Raises:
            OffsetExpiredError: the next offset is no longer there.
            BrokerError: Kafka refuses, or is silent for 30 s.
        """
        self._consumer.assign([TopicPartition(*key, first)])
        waiting: list[Message] = []
        size = 0
        for message in self._messages(key, last):
            waiting.append(message)
            size += len(message)
            if len(waiting) >= self._chunk_messages or size >= self._chunk_bytes:
                yield waiting
                waiting, size = [], 0
        if waiting:
            yield waiting

    def _messages(self, key: TopicPartitionKey, last: int) -> Iterator[Message]:
        heard = time.monotonic()
        while True:
            polled = self._consumer.consume(POLL_MESSAGES, POLL_SECONDS)
            if polled:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENT_SECONDS:
                raise BrokerError(
                    f"{key[0]}[{key[1]}]: Kafka has not answered for {SILENT_SECONDS:.0f} s",
                    hint="Has the partition a leader?",
                )
            for message in polled:
                error = message.error()
                if error is None:
                    offset = message.offset()
                    if offset is None or offset > last:
                        return
                    yield message
                    if offset == last:
                        return
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                    raise OffsetExpiredError(str(key))
                elif not error.retriable() and error.code() != KafkaError._ALL_BROKERS_DOWN:
                    raise BrokerError(
                        f"{key[0]}[{key[1]}] cannot be read: {error.str()}",
                        hint="May this user read the topic?",
                    )


def oldest_waiting(
    settings: IngestSettings,
    following: Mapping[TopicPartitionKey, int],
    *,
    seconds: float = OLDEST_SECONDS,
) -> dict[TopicPartitionKey, datetime]:
    """Return when Kafka got the first message at or after each partition's offset.

    A partition is left out when there is no such message, or it does not come in time.
    """
    found: dict[TopicPartitionKey, datetime] = {}
    done: set[TopicPartitionKey] = set()
    consumer = _consumer(settings)
    try:
        consumer.assign([TopicPartition(*key, first) for key, first in following.items()])
        deadline = time.monotonic() + seconds
        while len(done) < len(following) and time.monotonic() < deadline:
            for message in consumer.consume(POLL_MESSAGES, POLL_SECONDS):
                key = message.topic() or "", message.partition() or 0
                if key in done or key not in following:
                    continue
                done.add(key)
                if message.error() is None:
                    first, last = TIMESTAMPS_MS
                    milliseconds = min(max(message.timestamp()[1], first), last)
                    found[key] = datetime.fromtimestamp(milliseconds / 1000, UTC)
                consumer.pause([TopicPartition(*key)])
    finally:
        consumer.close()
    return found


def _consumer(settings: IngestSettings) -> Consumer:
    return Consumer(
        {
            **client_config(settings),
            "group.id": "lakeward-audit",  # a name is required; nothing is ever joined
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "queued.max.messages.kbytes": 16_384,
        },
        logger=LIBRDKAFKA_LOGGER,
    )
