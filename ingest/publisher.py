"""Sending many messages to Kafka so that each one is known to have arrived.

No callback runs for a message that arrives: at 50,000 a second that would be most of the work.
librdkafka reports the failed ones only, and the rest is arithmetic: what was handed over, less
what failed, less what is still queued, was acknowledged by all in-sync replicas. The producer is
idempotent, so a retry inside librdkafka does not make a message appear twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaError, KafkaException, Producer

from ingest.contracts.model import Contract
from ingest.errors import BrokerError, DeliveryError
from ingest.kafka import LIBRDKAFKA_LOGGER, client_config
from ingest.settings import IngestSettings

logger = logging.getLogger(__name__)

DELIVERY_TIMEOUT_S: Final = 30.0
"""How long a message may wait for its acknowledgement before it counts as failed."""

_POLL_EVERY: Final = 500
_TUNING: Final[dict[str, str | int | float | bool]] = {
    "acks": "all",
    "enable.idempotence": True,
    "delivery.report.only.error": True,
    "compression.type": "lz4",
    "linger.ms": 20,
    "batch.num.messages": 50_000,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 131_072,
}


@dataclass(slots=True)
class Failures:
    """The messages that the broker did not take."""

    count: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, error: KafkaError) -> None:
        """Count one message that failed."""
        self.count += 1
        reason = error.str()
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


class Publisher:
    """Sends messages to the topics of contracts; leaving the ``with`` block waits for all.

    Usage::

        with Publisher(settings, contracts) as publisher:
            publisher.send("clickstream", key, value, timestamp_ms)
        publisher.acknowledged  # all of them, or DeliveryError was raised

    Leaving the block by another exception (Ctrl-C) still waits, so that ``acknowledged`` is
    the truth, and raises nothing of its own.
    """

    def __init__(
        self,
        settings: IngestSettings,
        contracts: Iterable[Contract],
        *,
        delivery_timeout_s: float = DELIVERY_TIMEOUT_S,
    ) -> None:
        self._topics = {contract.name: contract.topic for contract in contracts}
        self._failures = Failures()
        self._sent = 0
        self._delivery_timeout_s = delivery_timeout_s
        config: dict[str, str | int | float | bool] = {
            **_TUNING,
            **client_config(settings),
            "delivery.timeout.ms": round(delivery_timeout_s * 1000),
        }
        try:
            self._producer = Producer(config, logger=LIBRDKAFKA_LOGGER)
        except KafkaException as failure:
            raise BrokerError(
                f"librdkafka does not accept the Kafka settings: {failure.args[0].str()}",
                hint="Look at the KAFKA_* variables; docs/guides/kafka.md explains each.",
            ) from failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait()
        if kind is None:
            self.check()

    @property
    def sent(self) -> int:
        """Messages handed over so far."""
        return self._sent

    @property
    def acknowledged(self) -> int:
        """Messages that all in-sync replicas have; exact, also while messages are under way."""
        return self._sent - self._failures.count - len(self._producer)

    def send(
        self, contract: str, key: bytes | None, value: bytes, timestamp_ms: int | None = None
    ) -> None:
        """Hand one message over; waits while the queue is full.

        ``timestamp_ms`` becomes the message's timestamp, milliseconds since 1970 UTC; None
        means now.

        Raises:
            DeliveryError: a message before this one failed, or the broker takes no more.
        """
        topic = self._topics[contract]
        at = 0 if timestamp_ms is None else timestamp_ms
        deadline: float | None = None
        while True:
            try:
                self._producer.produce(topic, value, key, timestamp=at, on_delivery=self._failed)
                break
            except BufferError:
                deadline = deadline or time.monotonic() + 2 * self._delivery_timeout_s
                self._producer.poll(0.05)
                self.check()
                if time.monotonic() > deadline:
                    raise DeliveryError(
                        "the broker takes no more messages: the queue stays full",
                        hint="Is the broker up? `lakeward broker` shows how it is.",
                    ) from None
            except KafkaException as failure:
                raise DeliveryError(
                    f"a message for topic {topic!r} cannot be sent: {failure.args[0].str()}"
                ) from failure
        self._sent += 1
        if self._sent % _POLL_EVERY == 0:
            self.poll()

    def poll(self) -> None:
        """Take note of what the broker has answered, without waiting.

        Raises:
            DeliveryError: a message has failed.
        """
        self._producer.poll(0)
        self.check()

    def flush(self) -> None:
        """Return when every message handed over so far is acknowledged.

        Raises:
            DeliveryError: one of them is not.
        """
        self._wait()
        self.check()

    def check(self) -> None:
        """Raise if any message has failed.

        Raises:
            DeliveryError: says how many of how many, and why.
        """
        if self._failures.count == 0:
            return
        counts = sorted(self._failures.reasons.items(), key=lambda item: -item[1])
        reasons = "; ".join(f"{reason} ({count:,})" for reason, count in counts[:3])
        raise DeliveryError(
            f"the broker did not take {self._failures.count:,} of {self._sent:,} messages: "
            f"{reasons}",
            hint="Look at the broker's log; then send them again.",
        )

    def _wait(self) -> None:
        left = self._producer.flush(self._delivery_timeout_s + 5)
        if left:
            logger.error("messages without an answer", extra={"messages": left})
            self._producer.purge()
            self._producer.flush(5)

    def _failed(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._failures.add(error)
