"""Sending to Kafka from an event loop: a message is sent when every in-sync replica has it.

librdkafka sends in threads of its own and queues its answers; the loop fetches them by itself, five
hundred times a second while some are awaited. So there is no thread that wakes the loop up for
each request, and nothing to lock.

The producer is idempotent. It can still write a message twice where a partition's leader changes
(docs/concepts/chaos.md); silver keeps the first of an event id.

An idempotent producer that has lost count of its messages fails for good: librdkafka takes none
from it any more, and tells so once, as an exception of ``poll``. Then it is replaced. What it had
not heard of Kafka counts as not taken, so some of it may come to Kafka twice, which the event id
makes harmless (https://github.com/confluentinc/librdkafka/blob/master/INTRODUCTION.md, "Idempotent
producer").
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingest.collector.record import Record
from ingest.errors import BrokerError
from ingest.kafka import LIBRDKAFKA_LOGGER, client_config
from ingest.settings import IngestSettings

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.002
IDLE_POLL_SECONDS: Final = 0.05
FLUSH_SECONDS: Final = 10.0
RENEW_SECONDS: Final = 1.0
MOST_RENEW_SECONDS: Final = 30.0
"""How soon after a producer was made another may take its place. It doubles with each that fails
soon: where Kafka forbids idempotence, every one does."""
HEALTHY_SECONDS: Final = 60.0
"""A producer that fails later than this after it was made did not fail at once."""

_LINGER_MS: Final = 10
"""How long a message waits for others. Each partition is sent by itself, so with 5 ms and six
partitions there are 1,200 requests a second however few messages are in them, and each costs the
broker more than the messages do."""

_TUNING: Final[dict[str, str | int | float | bool]] = {
    "acks": "all",
    "enable.idempotence": True,
    "compression.type": "lz4",
    "linger.ms": _LINGER_MS,
    "batch.num.messages": 50_000,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 65_536,
}


class _Batch:
    """The messages of one call of ``send``."""

    __slots__ = ("_records", "_settled", "failed", "left")

    def __init__(self, records: Sequence[Record], settled: asyncio.Future[None]) -> None:
        self._records = records
        self._settled = settled
        self.left = len(records)
        self.failed: set[bytes] = set()
        """The values of the messages that Kafka did not take."""

    def on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failed.add(message.value() or b"")
        self.left -= 1
        if self.left == 0 and not self._settled.done():
            self._settled.set_result(None)

    def give_up(self) -> None:
        """Take every message for failed: nobody will say any more what became of it."""
        if not self._settled.done():
            self.failed.update(record.value for record in self._records)
            self._settled.set_result(None)


class KafkaSender:
    """Sends records; use it from one event loop, and ``start`` it there."""

    def __init__(
        self,
        settings: IngestSettings,
        *,
        delivery_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the producer; nothing is connected yet.

        Args:
            settings: how to reach Kafka.
            delivery_timeout_s: after this many seconds a message counts as not taken.
            clock: seconds that only grow; says when a producer that failed may be replaced.

        Raises:
            BrokerError: no broker is known, or librdkafka refuses a setting.
        """
        self._config: dict[str, object] = {
            **_TUNING,
            **client_config(settings),
            "delivery.timeout.ms": round(delivery_timeout_s * 1000),
            "error_cb": self._on_error,
        }
        self._clock = clock
        try:
            self._producer = self._made()
        except KafkaException as failure:
            raise BrokerError(
                f"librdkafka does not accept the Kafka settings: {failure.args[0].str()}",
                hint="Look at the KAFKA_* variables; docs/guides/kafka.md explains each.",
            ) from failure
        self._renew_seconds = RENEW_SECONDS
        self._failure: KafkaError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._open: set[_Batch] = set()
        self.on_brokers_down: Callable[[], None] = lambda: None
        """Called when no broker can be reached."""
        self.on_producer_failed: Callable[[], None] = lambda: None
        """Called when the producer has failed for good."""

    @property
    def waiting(self) -> int:
        """Messages that Kafka has not answered for yet."""
        return len(self._producer)

    @property
    def failure(self) -> str | None:
        """Why the producer failed for good, until another has taken its place."""
        return None if self._failure is None else self._failure.name()

    def start(self) -> None:
        """Begin to fetch answers, on the running loop."""
        self._poll()

    async def send(self, records: Sequence[Record]) -> list[Record]:
        """Return the records that Kafka did not take, in their order; none when all are safe."""
        settled = asyncio.get_running_loop().create_future()
        batch = _Batch(records, settled)
        refused = self._produce(records, batch)
        if batch.left:
            if not self._open:
                self._wake()
            self._open.add(batch)
            try:
                await settled
            finally:
                self._open.discard(batch)
        if not batch.failed:
            return list(records[len(records) - refused :]) if refused else []
        taken = len(records) - refused
        return [r for n, r in enumerate(records) if n >= taken or r.value in batch.failed]

    def close(self) -> int:
        """Wait for what is on its way; return how many messages stay unanswered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            return int(self._producer.flush(FLUSH_SECONDS))
        except KafkaException as failure:
            self._fail(failure.args[0])
            return len(self._producer)

    def _made(self) -> Producer:
        self._made_at = self._clock()
        return Producer(self._config, logger=LIBRDKAFKA_LOGGER)

    def _produce(self, records: Sequence[Record], batch: _Batch) -> int:
        """Hand the records to librdkafka; return how many at their end it refuses."""
        produce, on_delivery = self._producer.produce, batch.on_delivery
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
                if self._failure is None:
                    logger.warning("kafka_queue_refuses", extra={"error": type(error).__name__})
                refused = len(records) - index
                batch.left -= refused
                return refused
        return 0

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        try:
            self._producer.poll(0)
        except KafkaException as failure:
            self._fail(failure.args[0])
        finally:
            pause = POLL_SECONDS if self._open else IDLE_POLL_SECONDS
            self._timer = asyncio.get_running_loop().call_later(pause, self._poll)
        if self._failure is not None and self._clock() - self._made_at >= self._renew_seconds:
            self._renew()

    def _fail(self, error: KafkaError) -> None:
        """Give up the producer, and what it has not heard of."""
        self._failure = error
        logger.error(
            "kafka_producer_failed",
            extra={"error": error.name(), "why": error.str(), "unanswered": len(self._producer)},
        )
        self.on_producer_failed()
        self._producer.purge()
        self._producer.poll(0)
        for batch in self._open:
            batch.give_up()

    def _renew(self) -> None:
        """Put a new producer in the place of one that has failed."""
        was_healthy = self._clock() - self._made_at >= HEALTHY_SECONDS
        self._renew_seconds = (
            RENEW_SECONDS if was_healthy else min(2 * self._renew_seconds, MOST_RENEW_SECONDS)
        )
        failed = self._producer
        try:
            self._producer = self._made()
        except KafkaException as failure:
            logger.error("kafka_producer_not_made", extra={"error": failure.args[0].name()})
            return
        self._failure = None
        logger.info("kafka_producer_renewed")
        # it ends threads and connections of its own: not while a client waits
        asyncio.get_running_loop().run_in_executor(None, failed.close)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.on_brokers_down()
