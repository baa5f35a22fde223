"""Producers that write down what the broker has acknowledged: the truth the lake is held to."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaException, Message, Producer

logger = logging.getLogger("benchmarks.chaos.ledger")
logger.addHandler(logging.NullHandler())

Coordinates = tuple[int, int]
"""Partition and offset."""
POISON = b"{broken"
POISON_EVERY = 40
PAUSE_S = 0.05
AT_ONCE = 12
DELIVERY_S = 300
"""Longer than any outage here: what is not acknowledged in the end was not for want of time."""


@dataclass(slots=True)
class Ledger:
    """What was sent to one topic, and where the broker says that it is."""

    events: dict[str, Coordinates] = field(default_factory=dict)
    """Acknowledged good events by id."""
    poison: set[Coordinates] = field(default_factory=set)
    """Acknowledged messages that are no events."""
    somewhere: set[str] = field(default_factory=set)
    """Acknowledged good events without an offset: the broker had them from an earlier try."""
    poison_somewhere: int = 0
    """The same of messages that are no events."""
    sent: set[str] = field(default_factory=set)
    """All ids handed to a producer."""
    doubtful: int = 0
    """Messages whose delivery failed: they may be in Kafka or not."""
    restarts: int = 0
    """How often a producer gave up its identity and began anew."""

    @property
    def unanswered(self) -> set[str]:
        """Ids without an acknowledgement: each may be in the lake once, or not at all."""
        return self.sent - self.events.keys() - self.somewhere


class Producers:
    """Idempotent producers with acks=all, writing to one topic until they are stopped."""

    def __init__(self, servers: str, topic: str, ledger: Ledger, prefix: str, count: int) -> None:
        self._servers = servers
        self._topic = topic
        self._ledger = ledger
        self._prefix = prefix
        self._ended = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(n,), name=f"producer-{n}")
            for n in range(count)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def check(self) -> None:
        """Return when all of them are at work.

        Raises:
            BaseException: whatever ended one before its time.
        """
        if self._failures:
            raise self._failures[0]

    def stop(self) -> None:
        """Send no more; return when the broker has answered for everything.

        Raises:
            BaseException: whatever ended a producer before its time.
        """
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self.check()

    def _run(self, number: int) -> None:
        try:
            self._send_all(number)
        except BaseException as error:  # noqa: BLE001 - raised by ``stop``
            self._failures.append(error)

    def _send_all(self, number: int) -> None:
        producer = self._producer()
        sent = 0
        while not self._ended.is_set():
            try:
                for _ in range(AT_ONCE):
                    sent += 1
                    self._send(producer, f"{self._prefix}-{number}-{sent}", sent)
                producer.poll(0)
            except BufferError:
                producer.poll(0.2)
            except KafkaException as failure:
                # after a fatal error the producer's identity is spent, and whatever it refuses, a
                # new one may take; what the old one had under way stays unanswered
                logger.warning("producer_replaced", extra={"why": str(failure)})
                producer.purge()
                producer.flush(5)
                producer = self._producer()
                self._ledger.restarts += 1
            time.sleep(PAUSE_S)
        left = producer.flush(DELIVERY_S)
        if left:
            raise RuntimeError(f"{left} messages without an answer")

    def _send(self, producer: Producer, event_id: str, number: int) -> None:
        is_poison = number % POISON_EVERY == 0
        if not is_poison:
            self._ledger.sent.add(event_id)
        value = POISON if is_poison else payload(event_id)

        def answered(error: Any, message: Message) -> None:
            if error is not None:
                self._ledger.doubtful += 1
                return
            partition, offset = message.partition(), message.offset()
            if partition is None or offset is None or offset < 0:
                if is_poison:
                    self._ledger.poison_somewhere += 1
                else:
                    self._ledger.somewhere.add(event_id)
            elif is_poison:
                self._ledger.poison.add((partition, offset))
            else:
                self._ledger.events[event_id] = (partition, offset)

        producer.produce(self._topic, value, key=event_id, on_delivery=answered)

    def _producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._servers,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "delivery.timeout.ms": DELIVERY_S * 1000,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,
            },
            logger=logger,
        )


def payload(event_id: str) -> bytes:
    """Return a good event of the contract ``visits``."""
    document = {"event_id": event_id, "tenant_id": "acme", "at": "2026-01-01T00:00:00Z"}
    return json.dumps(document).encode()
