"""A producer at a steady pace: ``python -m benchmarks.rig.pace SERVERS TOPIC RATE SECONDS``.

Each message has the time of its ``produce`` call as Kafka's timestamp, set by the client.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import islice

from confluent_kafka import Producer

from benchmarks.rig.clickstream import stream
from ingest.kafka import LIBRDKAFKA_LOGGER

TURNS_A_SECOND = 100
LINGER_MS = 5


def main() -> None:
    """Produce, never faster than the pace; print how many and how late the latest turn was."""
    servers, topic = sys.argv[1], sys.argv[2]
    turn, seconds = int(sys.argv[3]) // TURNS_A_SECOND, float(sys.argv[4])
    producer = Producer(
        {"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": LINGER_MS},
        logger=LIBRDKAFKA_LOGGER,
    )
    partitions = len(producer.list_topics(topic, timeout=30).topics[topic].partitions)
    turns = round(seconds * TURNS_A_SECOND)
    values = iter(list(stream(turn * turns, seed=1)))
    began, latest = time.monotonic(), 0.0
    for n in range(turns):
        due = began + n / TURNS_A_SECOND
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        else:
            latest = max(latest, -wait)
        for i, value in enumerate(islice(values, turn)):
            producer.produce(topic, value, partition=i % partitions)
        producer.poll(0)
    left = producer.flush(60)
    assert left == 0, f"{left} messages were not delivered"
    print(json.dumps({"messages": turn * turns, "latest": latest}))


if __name__ == "__main__":
    main()
