"""Sending in transactions, on a broker that has them.

The transactional id is the topic's, so there is one publisher a topic: a second one that opens
ends the first, whatever that has under way. On the embedded broker, which shows aborted messages
too, there are no transactions: what was sent before a crash is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from ingest.errors import BrokerError, DeliveryError
from ingest.kafka import LIBRDKAFKA_LOGGER, client_config
from ingest.publisher import Failures
from ingest.settings import IngestSettings
from serving.errors import PublishError

OPEN_TIMEOUT_S: Final = 30.0
COMMIT_TIMEOUT_S: Final = 60.0
RETRY_S: Final = 0.1
FENCED: Final = frozenset(
    {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
)
_POLL_EVERY: Final = 500
_TUNING: Final[dict[str, Any]] = {
    "acks": "all",
    "enable.idempotence": True,
    "delivery.report.only.error": True,
    "compression.type": "lz4",
    "linger.ms": 20,
    "partitioner": "murmur2_random",  # as Java's clients do, so that their joins find a key
}

Headers = list[tuple[str, str | bytes | None]]


class Sender:
    """The one publisher of a topic."""

    def __init__(self, settings: IngestSettings, topic: str, *, is_transactional: bool) -> None:
        """Connect; with transactions, end every other publisher of the topic.

        Raises:
            BrokerError: the broker does not answer.
            PublishError: it refuses transactions.
        """
        self._topic = topic
        self._is_transactional = is_transactional
        self._failures = Failures()
        self._is_fenced = False
        self._sent = 0
        config = {**_TUNING, **client_config(settings)}
        if is_transactional:
            config["transactional.id"] = f"lakeward-publish-{topic}"
        self._producer = Producer(config, logger=LIBRDKAFKA_LOGGER)
        if is_transactional:
            self._call(self._producer.init_transactions, "cannot begin to publish", OPEN_TIMEOUT_S)

    def begin(self) -> None:
        """Begin a transaction.

        Raises:
            PublishError: another publisher of the topic has begun.
        """
        if self._is_transactional:
            self._call(lambda _timeout: self._producer.begin_transaction(), "cannot go on", 1)

    def send(self, topic: str, key: bytes, value: bytes | None, headers: Headers) -> None:
        """Hand a message over; waits while the queue is full.

        Raises:
            DeliveryError: the broker does not take it.
        """
        deadline: float | None = None
        while True:
            try:
                self._producer.produce(
                    topic, value, key, headers=headers, on_delivery=self._delivered
                )
                break
            except BufferError:
                deadline = deadline or time.monotonic() + COMMIT_TIMEOUT_S
                self._producer.poll(0.05)
                if time.monotonic() > deadline:
                    raise DeliveryError(
                        "the broker takes no more messages: the queue stays full",
                        hint="Is the broker up?",
                    ) from None
            except KafkaException as failure:
                raise self._mended(failure, f"cannot send to {topic!r}") from failure
        self._sent += 1
        if self._sent % _POLL_EVERY == 0:
            self._producer.poll(0)
            self._check()

    def commit(self) -> None:
        """Return when everything sent since ``begin`` is there for those who read.

        Raises:
            PublishError: another publisher has begun, or the transaction failed as a whole.
            DeliveryError: without transactions, some messages were not taken.
            BrokerError: the broker does not answer. What was sent may be there or not; the next
                publication finds out, since the position is a part of it.
        """
        if self._is_transactional:
            self._call(self._producer.commit_transaction, "cannot commit", COMMIT_TIMEOUT_S)
            return
        left = self._producer.flush(COMMIT_TIMEOUT_S)
        self._check()
        if left:
            raise DeliveryError(f"{left} messages without an answer", hint="Is the broker up?")

    def abort(self) -> None:
        """Give up what was sent since ``begin``; it is never seen, where there are transactions."""
        if self._is_fenced:
            return  # the other publisher's beginning gave it up; librdkafka would try for a minute
        if self._is_transactional:
            self._call(self._producer.abort_transaction, "cannot give up", COMMIT_TIMEOUT_S)
        else:
            self._producer.flush(COMMIT_TIMEOUT_S)

    def _call(self, step: Callable[[float], Any], failing: str, timeout_s: float) -> None:
        """Take a step of the transactional protocol, again where that is what it asks for."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                step(max(1.0, deadline - time.monotonic()))
                return
            except KafkaException as failure:
                error = failure.args[0]
                if error.retriable() and time.monotonic() < deadline:
                    time.sleep(RETRY_S)
                    continue
                raise self._mended(failure, failing) from failure

    def _mended(self, failure: KafkaException, failing: str) -> Exception:
        error: KafkaError = failure.args[0]
        said = f"{failing} ({self._topic}): {error.str()}"
        if error.code() in FENCED:
            self._is_fenced = True
            return PublishError(
                f"another publisher of {self._topic!r} has begun, and this one ended",
                hint="One is enough: it sends what both would have.",
            )
        if error.code() in (
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
        ):
            return PublishError(
                said,
                hint="The user needs WRITE and DESCRIBE on the transactional id "
                f"lakeward-publish-{self._topic}, and WRITE on both topics.",
            )
        if error.txn_requires_abort():
            self._producer.abort_transaction(COMMIT_TIMEOUT_S)
            return PublishError(
                f"{said}; nothing of this transaction can be seen", hint="Run it again."
            )
        return BrokerError(said, hint="Is the broker up? Run it again: it goes on where it was.")

    def _check(self) -> None:
        if self._failures.count and not self._is_transactional:
            reasons = "; ".join(self._failures.reasons)
            raise DeliveryError(
                f"the broker did not take {self._failures.count:,} messages: {reasons}",
                hint="Run it again: it goes on where it was.",
            )

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._failures.add(error)
