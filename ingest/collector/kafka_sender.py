"""Sending to Kafka from an event loop: a message is sent when every in-sync replica has it.

librdkafka sends in threads of its own and queues its answers; the loop fetches them by itself, a
thousand times a second while some are awaited. So there is no thread that wakes the loop up for
each request, and nothing to lock.

The producer is idempotent. It can still write a message twice where a partition's leader changes
(docs/concepts/chaos.md); silver keeps the first of an event id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingest.collector.record import Record
from ingest.errors import BrokerError
from ingest.kafka import LIBRDKAFKA_LOGGER, client_config
from ingest.settings import IngestSettings

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.001
IDLE_POLL_SECONDS: Final = 0.05
FLUSH_SECONDS: Final = 10.0

_TUNING: Final[dict[str, str | int | float | bool]] = {
    "acks": "all",
    "enable.idempotence": True,
    "compression.type": "lz4",
    "linger.ms": 5,
    "batch.num.messages": 50_000,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 65_536,
}


class _Batch:
    """The messages of one call of ``send``."""

    __slots__ = ("failed", "left", "settled")

    def __init__(self, count: int, settled: asyncio.Future[None]) -> None:
        self.left = count
        self.failed: list[bytes] = []
        self.settled = settled

    def on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failed.append(message.value() or b"")
        self.left -= 1
        if self.left == 0 and not self.settled.done():
            self.settled.set_result(None)


class KafkaSender:
    """Sends records; use it from one event loop, and ``start`` it there."""

    def __init__(self, settings: IngestSettings, *, delivery_timeout_s: float) -> None:
        """Make the producer; nothing is connected yet.

        Raises:
            BrokerError: no broker is known, or librdkafka refuses a setting.
        """
        config: dict[str, object] = {
            **_TUNING,
            **client_config(settings),
            "delivery.timeout.ms": round(delivery_timeout_s * 1000),
            "error_cb": self._on_error,
        }
        try:
            self._producer = Producer(config, logger=LIBRDKAFKA_LOGGER)
        except KafkaException as failure:
            raise BrokerError(
                f"librdkafka does not accept the Kafka settings: {failure.args[0].str()}",
                hint="Look at the KAFKA_* variables; docs/guides/kafka.md explains each.",
            ) from failure
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0
        self.on_brokers_down: Callable[[], None] = lambda: None
        """Called when no broker can be reached."""

    @property
    def waiting(self) -> int:
        """Messages that Kafka has not answered for yet."""
        return len(self._producer)

    def start(self) -> None:
        """Begin to fetch answers, on the running loop."""
        self._poll()

    async def send(self, records: Sequence[Record]) -> list[Record]:
        """Return the records that Kafka did not take, in their order; none when all are safe."""
        settled = asyncio.get_running_loop().create_future()
        batch = _Batch(len(records), settled)
        produce, on_delivery = self._producer.produce, batch.on_delivery
        refused: list[Record] = []
        for index, record in enumerate(records):
            try:
                produce(
                    record.topic,
                    record.value,
                    record.key,
                    on_delivery=on_delivery,
                    headers=record.headers,
                )
            except (BufferError, KafkaException) as error:
                logger.warning("kafka_queue_refuses", extra={"error": type(error).__name__})
                refused = list(records[index:])
                batch.left -= len(refused)
                break
        if batch.left:
            if not self._waiting:
                self._wake()
            self._waiting += 1
            try:
                await settled
            finally:
                self._waiting -= 1
        if not batch.failed:
            return refused
        failed = set(batch.failed)
        return [record for record in records if record.value in failed or record in refused]

    def close(self) -> int:
        """Wait for what is on its way; return how many messages stay unanswered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return int(self._producer.flush(FLUSH_SECONDS))

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        self._producer.poll(0)
        pause = POLL_SECONDS if self._waiting else IDLE_POLL_SECONDS
        self._timer = asyncio.get_running_loop().call_later(pause, self._poll)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.on_brokers_down()
        elif error.fatal():
            logger.error("kafka_producer_failed", extra={"error": error.str()})
