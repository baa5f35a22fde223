"""The usual consumer: decode each message, write every so many of them; no exactly-once.

``python -m benchmarks.rig.plain SERVERS TOPIC BATCH SECONDS TABLE`` reads until the time is up or
the topic is through, and prints what it did.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from confluent_kafka import Consumer
from deltalake import WriterProperties, write_deltalake

from benchmarks.rig.servers import Broker
from benchmarks.rig.topic import Topic
from benchmarks.rig.watched import Watched, python
from ingest.kafka import LIBRDKAFKA_LOGGER

ZSTD = WriterProperties(compression="ZSTD", compression_level=1)
WARM_UP_BATCHES = 2


@dataclass(frozen=True, slots=True)
class Plain:
    """What one run did, from the third batch on."""

    rate: float
    """Messages a second."""
    cpu: float
    """CPU seconds a message."""
    messages: int


def plain(broker: Broker, topic: Topic, batch: int, seconds: float, folder: Path) -> Plain:
    """Run the usual consumer in a process of its own, on a new table."""
    table = folder / "plain"
    shutil.rmtree(table, ignore_errors=True)
    command = python("-m", "benchmarks.rig.plain", broker.address, topic.name, str(batch))
    with Watched([*command, str(seconds), str(table)], folder / "plain.log") as child:
        return Plain(**json.loads(child.wait(10 * seconds + 60)))


def main() -> None:
    """Consume, decode, write."""
    servers, topic, table = sys.argv[1], sys.argv[2], sys.argv[5]
    batch, seconds = int(sys.argv[3]), float(sys.argv[4])
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"plain-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
        },
        logger=LIBRDKAFKA_LOGGER,
    )
    consumer.subscribe([topic])
    count, batches = 0, 0
    began, cpu = time.perf_counter(), sum(os.times()[:2])
    while batches <= WARM_UP_BATCHES or time.perf_counter() - began < seconds:
        messages = consumer.consume(batch, 10.0)
        if not messages:
            break
        rows = [json.loads(message.value() or b"") for message in messages]
        write_deltalake(table, pa.Table.from_pylist(rows), mode="append", writer_properties=ZSTD)
        batches += 1
        if batches == WARM_UP_BATCHES:
            began, cpu = time.perf_counter(), sum(os.times()[:2])
        elif batches > WARM_UP_BATCHES:
            count += len(rows)
            done = time.perf_counter() - began, sum(os.times()[:2]) - cpu
    consumer.close()
    print(json.dumps({"rate": count / done[0], "cpu": done[1] / count, "messages": count}))


if __name__ == "__main__":
    main()
