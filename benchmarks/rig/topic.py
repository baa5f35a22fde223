"""Topics of a benchmark: each with a contract of its own, filled before anything is measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.rig.clickstream import Change, stream
from benchmarks.rig.servers import Broker
from ingest.contracts.registry import SHIPPED
from ingest.kafka import LIBRDKAFKA_LOGGER

PARTITIONS = 3
CHUNK = 2_000
"""Messages for one partition before the next has its turn."""

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Topic:
    """A filled topic."""

    contract: str
    """The name of its contract, and so of its bronze table."""
    name: str
    messages: int
    size: int
    """Bytes of all payloads."""
    partitions: int = PARTITIONS

    @property
    def mean_size(self) -> float:
        """Bytes a message."""
        return self.size / self.messages


def fill(
    broker: Broker,
    contracts: Path,
    contract: str,
    count: int,
    *,
    change: Change | None = None,
    seed: int = 1,
    partitions: int = PARTITIONS,
) -> Topic:
    """Make a topic of ``count`` clickstream messages, uncompressed, and the contract for it.

    Returns when the broker has everything and the disk too, so that what is measured next reads
    from the page cache of a quiet disk.

    Args:
        broker: where.
        contracts: LAKEWARD_CONTRACTS_DIR; the contract is written there, a copy of clickstream.
        contract: its name.
        count: how many messages.
        change: what to do to the messages.
        seed: decides the messages.
        partitions: of the topic.
    """
    name = f"{contract}-events"
    write_contract(contracts, contract, name)
    admin = AdminClient({"bootstrap.servers": broker.address}, logger=LIBRDKAFKA_LOGGER)
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(TIMEOUT_S)
    size = _produce(broker, name, stream(count, seed, change), partitions)
    os.sync()
    return Topic(contract, name, count, size, partitions)


def write_contract(contracts: Path, contract: str, topic: str) -> None:
    """Copy the shipped contract under another name, so that several topics have its events."""
    text = (SHIPPED / "clickstream.odcs.yaml").read_text()
    text = text.replace("contract:clickstream\n", f"contract:{contract}\n")
    text = text.replace("name: clickstream\n", f"name: {contract}\n")
    text = text.replace("physicalName: clickstream-events", f"physicalName: {topic}")
    contracts.mkdir(exist_ok=True)
    (contracts / f"{contract}.odcs.yaml").write_text(text)


def producer(broker: Broker) -> Producer:
    """Return a producer that neither loses nor doubles, as ``lakeward``'s own are."""
    return Producer(
        {
            "bootstrap.servers": broker.address,
            "enable.idempotence": True,
            "linger.ms": 20,
            "queue.buffering.max.messages": 500_000,
        },
        logger=LIBRDKAFKA_LOGGER,
    )


def _produce(broker: Broker, topic: str, values: Iterator[bytes], partitions: int) -> int:
    client = producer(broker)
    size, turn = 0, 0
    while chunk := [{"value": value} for value in islice(values, CHUNK)]:
        size += sum(len(message["value"]) for message in chunk)
        while chunk:
            client.produce_batch(topic, chunk, partition=turn % partitions)
            chunk = [{"value": m["value"]} for m in chunk if "_error" in m]
            client.poll(0.1 if chunk else 0)  # the queue is full: what was refused goes again
        turn += 1
    left = client.flush(TIMEOUT_S)
    assert left == 0, f"{left} messages were not delivered in {TIMEOUT_S:.0f} s"
    return size
