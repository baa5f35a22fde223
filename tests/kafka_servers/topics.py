"""What a test does with a broker: topics of its own, messages in, messages out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ingest.kafka import LIBRDKAFKA_LOGGER, admin_client, client_config, topic_ids
from ingest.settings import IngestSettings

TIMEOUT_S = 120.0

Bytes = bytes | str | None
Headers = list[tuple[str, bytes | None]]


@dataclass(slots=True)
class KafkaForTest:
    """A broker that tests share; each uses topics of its own, named by ``unique``."""

    kind: Literal["embedded", "apache"]
    settings: IngestSettings
    bootstrap_servers: str
    _admin: AdminClient | None = field(default=None, repr=False)
    _producer: Producer | None = field(default=None, repr=False)

    @property
    def admin(self) -> AdminClient:
        """Return one admin client for the whole test."""
        if self._admin is None:
            self._admin = admin_client(self.settings)
        return self._admin

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that point a ``lakeward`` subprocess at this broker and home."""
        return {
            "LAKEWARD_HOME": str(self.settings.home),
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
        }

    def unique(self, name: str) -> str:
        """Return a topic name that no other test has."""
        return f"{name}-{uuid.uuid4().hex[:10]}"

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> str:
        """Make a topic and return its id; ``config`` as in ``cleanup_policy="compact"``."""
        topic = NewTopic(
            name, partitions, 1, config={k.replace("_", "."): v for k, v in config.items()}
        )
        self.admin.create_topics([topic])[name].result(TIMEOUT_S)
        self._wait(lambda: self._has_leaders(name), f"{name} has no leaders")
        return topic_ids(self.admin, [name])[name]

    def delete_topic(self, name: str) -> None:
        """Delete a topic and return when the broker no longer knows it."""
        self.admin.delete_topics([name])[name].result(TIMEOUT_S)
        self._wait(lambda: not topic_ids(self.admin, [name]), f"{name} is still there")

    def produce(self, topic: str, messages: Iterable[tuple[Any, ...]]) -> None:
        """Write ``(key, value[, headers[, partition]])`` and return when the broker has them all.

        Text becomes UTF-8; a value of None is a tombstone; without a partition the key decides.
        """
        if self._producer is None:
            self._producer = Producer(
                {**client_config(self.settings), "linger.ms": 5},
                logger=LIBRDKAFKA_LOGGER,
            )
        producer = self._producer
        failures: list[str] = []

        def on_delivery(error: Any, _: Message) -> None:
            if error is not None:
                failures.append(str(error))

        for key, value, *rest in messages:
            headers: Headers | None = rest[0] if rest else None
            place = {"partition": rest[1]} if len(rest) > 1 and rest[1] is not None else {}
            while True:
                try:
                    producer.produce(
                        topic,
                        key=key,
                        value=value,
                        headers=headers,
                        on_delivery=on_delivery,
                        **place,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        left = producer.flush(TIMEOUT_S)
        assert left == 0, f"{left} messages not delivered in {TIMEOUT_S} s"
        assert failures == [], failures[:3]

    def consume(self, topic: str, count: int) -> list[Message]:
        """Return ``count`` messages from the start of ``topic``, all partitions, no group.

        Asserts that they come within two minutes.
        """
        consumer = Consumer(
            {
                **client_config(self.settings),
                "group.id": self.unique("reader"),
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            },
            logger=LIBRDKAFKA_LOGGER,
        )
        try:
            partitions = self.admin.list_topics(timeout=TIMEOUT_S).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
            found: list[Message] = []
            deadline = time.monotonic() + TIMEOUT_S
            while len(found) < count and time.monotonic() < deadline:
                for message in consumer.consume(min(count, 10_000), timeout=0.5):
                    assert message.error() is None, message.error()
                    found.append(message)
            assert len(found) == count
            return found
        finally:
            consumer.close()

    def _has_leaders(self, name: str) -> bool:
        topic = self.admin.list_topics(timeout=TIMEOUT_S).topics.get(name)
        return (
            topic is not None
            and bool(topic.partitions)
            and all(partition.leader >= 0 for partition in topic.partitions.values())
        )

    def _wait(self, done: Any, otherwise: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not done():
            assert time.monotonic() < deadline, f"{otherwise} after {TIMEOUT_S} s"
            time.sleep(0.05)
