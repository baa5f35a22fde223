"""What a topic holds in the end: the other truth, beside what the producers were told."""

from __future__ import annotations

import json
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from benchmarks.chaos.ledger import POISON, Coordinates

BATCH = 10_000
SILENT_S = 60.0


def read_back(servers: str, topic: str, partitions: int) -> dict[Coordinates, str | None]:
    """Return the event at each offset of a topic; None where a message is no event.

    Raises:
        RuntimeError: the broker does not give it all.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"{topic}-read-back",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    found: dict[Coordinates, str | None] = {}
    unread = set(range(partitions))
    heard = time.monotonic()
    try:
        consumer.assign([TopicPartition(topic, number, 0) for number in unread])
        while unread:
            messages = consumer.consume(BATCH, 1.0)
            heard = time.monotonic() if messages else heard
            if time.monotonic() - heard > SILENT_S:
                raise RuntimeError(f"{topic}: nothing more of the partitions {sorted(unread)}")
            for message in messages:
                partition, offset, value = message.partition(), message.offset(), message.value()
                assert partition is not None
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(partition)
                elif error is not None:
                    raise KafkaException(error)
                else:
                    assert offset is not None
                    assert value is not None
                    is_poison = value == POISON
                    event = None if is_poison else str(json.loads(value)["event_id"])
                    found[partition, offset] = event
    finally:
        consumer.close()
    return found
