"""Reading a topic from its first message to its last, committed ones only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from ingest.errors import BrokerError
from ingest.kafka import LIBRDKAFKA_LOGGER, client_config
from ingest.settings import IngestSettings
from serving.publish.position import Position

SILENCE_S: Final = 60.0
"""A broker that sends nothing for so long, not even the end of a partition, is away."""
MESSAGES_AT_ONCE: Final = 10_000
WAIT_S: Final = 0.05
"""How long a batch may fill: it is waited for in full, also behind the last message of a topic."""


def read_to_end(
    settings: IngestSettings,
    topic: str,
    partitions: int,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Iterator[list[Message]]:
    """Yield the messages of ``topic``, each partition in its order, until all are at their end.

    Ends early when ``is_stopping`` says so.

    Raises:
        BrokerError: the broker does not answer, or not with messages.
    """
    consumer = Consumer(
        {
            **client_config(settings),
            "group.id": "lakeward-publish",  # librdkafka wants one; nothing is committed
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            # The end of a partition is told with an answer that has no message, for which a broker
            # waits so long; the default of half a second would be most of a small publication.
            "fetch.wait.max.ms": 20,
        },
        logger=LIBRDKAFKA_LOGGER,
    )
    try:
        left = set(range(partitions))
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
        heard = time.monotonic()
        while left and not is_stopping():
            found: list[Message] = []
            for message in consumer.consume(MESSAGES_AT_ONCE, timeout=WAIT_S):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    left -= {message.partition()}
                elif not error.retriable():
                    raise BrokerError(f"the topic {topic!r} cannot be read: {error.str()}")
                heard = time.monotonic()
            if found:
                yield found
            if time.monotonic() - heard > SILENCE_S:
                raise BrokerError(
                    f"the topic {topic!r} cannot be read: silence for {SILENCE_S:.0f} s",
                    hint="Is the broker up?",
                )
    finally:
        consumer.close()


def read_position(settings: IngestSettings, positions: str, topic: str) -> Position | None:
    """Return the newest position of ``topic``; None when it has none.

    Raises:
        BrokerError: the broker does not answer.
    """
    newest: bytes | None = None
    for messages in read_to_end(settings, positions, 1):
        for message in messages:
            if message.key() == topic.encode():
                newest = message.value()
    return None if newest is None else Position.from_bytes(newest)
