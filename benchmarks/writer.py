"""How many messages a second go from Kafka to a committed Delta table, exactly once.

On the embedded broker, in this process: 200,000 clickstream messages of about 426 bytes in three
partitions, drained by the writer as ``lakeward write --until-current`` does it. The first drain
warms up; the best of the others counts. Beside it what the same broker delivers to a consumer that
does nothing, as the ceiling. The audit must find every message once, or there is no figure.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.decode import clickstream
from benchmarks.report import Figure, publish
from ingest.broker import EmbeddedBroker
from ingest.contracts.registry import load_contracts
from ingest.kafka import LIBRDKAFKA_LOGGER, ensure_topics
from ingest.settings import IngestSettings
from lake.audit import audit
from lake.settings import LakeSettings
from lake.tables import Lake
from lake.writer.loop import Progress
from lake.writer.service import run

MESSAGES = 200_000
ROUNDS = 4
BAR = 220_000


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as folder:
        home = Path(folder)
        with EmbeddedBroker(home) as broker:
            ingest = IngestSettings(_env_file=None, home=home)
            contract = load_contracts(None).by_name("clickstream")
            ensure_topics(ingest, [contract])
            _produce(broker.bootstrap_servers, contract.topic)
            raw = max(_consume(broker.bootstrap_servers, contract.topic) for _ in range(2))
            done = [_drain(ingest, home, round_) for round_ in range(ROUNDS)][1:]
    wall = max(MESSAGES / seconds for seconds, _ in done)
    cpu = min(cpu for _, cpu in done) / MESSAGES * 1e6
    publish(
        "writer",
        [
            Figure("Kafka to committed Delta", wall, "messages/s", BAR),
            Figure("CPU time a message, all threads", cpu, "us"),
            Figure("raw Consumer.consume of the same topic", raw, "messages/s"),
            Figure("share of the raw rate", 100 * wall / raw, "%", 30),
        ],
    )


def _produce(servers: str, topic: str) -> None:
    producer = Producer(
        {"bootstrap.servers": servers, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000},
        logger=LIBRDKAFKA_LOGGER,
    )
    for n, value in enumerate(clickstream(MESSAGES, seed=1)):
        producer.produce(topic, value, partition=n % 3)
        if n % 10_000 == 0:
            producer.poll(0)
    left = producer.flush(60)
    assert left == 0, f"{left} messages were not delivered"


def _consume(servers: str, topic: str) -> float:
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "raw", "enable.auto.commit": False},
        logger=LIBRDKAFKA_LOGGER,
    )
    consumer.assign([TopicPartition(topic, n, 0) for n in range(3)])
    began, count = time.perf_counter(), 0
    while count < MESSAGES:
        count += len(consumer.consume(10_000, 1.0))
    seconds = time.perf_counter() - began
    consumer.close()
    return MESSAGES / seconds


def _drain(ingest: IngestSettings, home: Path, round_: int) -> tuple[float, float]:
    settings = LakeSettings(_env_file=None, home=home, lake_root=str(home / f"lake-{round_}"))
    contract = load_contracts(None).by_name("clickstream")
    cpu = sum(os.times()[:2])
    began = time.perf_counter()
    progress: Progress = run(ingest, settings, [contract], until_current=True)
    seconds = time.perf_counter() - began
    cpu = sum(os.times()[:2]) - cpu
    report = audit(Lake(settings.root))
    assert progress.rows == report.rows == MESSAGES, (progress, report.findings)
    assert report.is_clean, report.findings
    return seconds, cpu


if __name__ == "__main__":
    main()
