"""A consumer that does nothing: ``python -m benchmarks.rig.consume SERVERS TOPIC COUNT MORE``.

librdkafka stops fetching a partition for ``fetch.queue.backoff.ms``, by default a second, when
100,000 messages wait. A quick consumer has them read before that and idles, so with the defaults
the rate says little about what is possible; ``EAGER`` has hardly a pause.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from benchmarks.rig.servers import Broker
from benchmarks.rig.topic import Topic
from benchmarks.rig.watched import Watched, python
from ingest.kafka import LIBRDKAFKA_LOGGER

BATCH = 10_000
EAGER: Final = {"fetch.queue.backoff.ms": 10}
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Consumed:
    """What one run did."""

    rate: float
    """Messages a second, from the first one on."""
    cpu: float
    """CPU seconds a message."""


def consumed(
    broker: Broker, topic: Topic, folder: Path, more: Mapping[str, object] | None = None
) -> Consumed:
    """Read a topic in a process of its own; ``more`` are properties beside the defaults."""
    command = python("-m", "benchmarks.rig.consume", broker.address, topic.name)
    arguments = [str(topic.messages), json.dumps(dict(more or {}))]
    with Watched([*command, *arguments], folder / "consume.log") as child:
        return Consumed(**json.loads(child.wait(TIMEOUT_S)))


def main() -> None:
    """Read everything and print how fast that was."""
    servers, topic, count, more = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    settings = {"bootstrap.servers": servers, "group.id": "raw", "enable.auto.commit": False}
    consumer = Consumer({**settings, **json.loads(more)}, logger=LIBRDKAFKA_LOGGER)
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    first = 0
    while not first:
        first = len(consumer.consume(BATCH, 1.0))
    began, cpu, seen = time.perf_counter(), sum(os.times()[:2]), first
    while seen < count:
        seen += len(consumer.consume(BATCH, 1.0))
    seconds, cpu = time.perf_counter() - began, sum(os.times()[:2]) - cpu
    consumer.close()
    print(json.dumps({"rate": (count - first) / seconds, "cpu": cpu / (count - first)}))


if __name__ == "__main__":
    main()
