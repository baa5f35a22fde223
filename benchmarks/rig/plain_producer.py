"""A table of gold to a topic in the usual way: a row at a time, all of them, with no memory."""

from __future__ import annotations

import json
from typing import Final

from confluent_kafka import Producer

from ingest.kafka import LIBRDKAFKA_LOGGER, client_config
from ingest.settings import IngestSettings
from lake.tables import Lake
from serving.mart import Mart

TUNING: Final = {
    "acks": "all",
    "enable.idempotence": True,
    "compression.type": "lz4",
    "linger.ms": 20,
}
"""As the publisher has it, but for transactions."""


def produce_plainly(settings: IngestSettings, lake: Lake, mart: Mart, topic: str) -> int:
    """Send every row of a mart as JSON, keyed by its key; return how many they were."""
    producer = Producer({**TUNING, **client_config(settings)}, logger=LIBRDKAFKA_LOGGER)
    count = 0
    for batch in lake.open("gold", mart.name).to_pyarrow_dataset().to_batches():
        for row in batch.to_pylist():
            key = json.dumps({name: row[name] for name in mart.key}, default=str)
            value = json.dumps(row, default=str)
            while True:
                try:
                    producer.produce(topic, value.encode(), key.encode())
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
            count += 1
    left = producer.flush(120)
    assert left == 0, f"{left} messages without an answer"
    return count
