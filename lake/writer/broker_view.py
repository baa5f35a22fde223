"""What the writer asks Kafka about topics: their ids, their first and last offsets."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import (
    OFFSET_END,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from ingest.errors import BrokerError, TopicError
from ingest.kafka import LIBRDKAFKA_LOGGER, NO_TOPIC_ID, admin_client, client_config
from ingest.settings import IngestSettings
from lake.writer.start import NO_ID, Offered, TopicPartitionKey

logger = logging.getLogger(__name__)

EARLIEST: Final = OffsetSpec._earliest
LATEST: Final = OffsetSpec._latest
POLL_MESSAGES: Final = 10_000
TIMEOUT_S: Final = 15.0
ID_TIMEOUT_S: Final = 3.0
LATE_S: Final = 5.0
"""An answer, if only that there is none, comes within a request's time limit. So much later the
client is stuck: librdkafka waits by the wall clock, which may have been set back meanwhile."""


class BrokerView:
    """Asks the broker through one admin client."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self._admin: AdminClient = admin_client(settings)

    def partitions(self, topics: Iterable[str]) -> list[TopicPartitionKey]:
        """Return every partition of the topics.

        Raises:
            TopicError: a topic does not exist.
        """
        wanted = list(topics)
        try:
            known = self._admin.list_topics(timeout=TIMEOUT_S).topics
        except KafkaException as failure:
            raise BrokerError(
                f"cannot list the topics: {failure.args[0].str()}", hint="Is the broker up?"
            ) from failure
        missing = sorted(t for t in wanted if t not in known or known[t].error is not None)
        if missing:
            raise TopicError(
                f"the broker has no topic {', '.join(missing)}",
                hint="`lakeward write --create-topics` makes them; `--contracts` reads fewer.",
            )
        return [(topic, number) for topic in wanted for number in sorted(known[topic].partitions)]

    def topic_id(self, topic: str) -> str | None:
        """Return the present id of a topic; None when it is not there.

        Raises:
            BrokerError: nobody answers, so nothing is known.
        """
        try:
            asked = self._admin.describe_topics(
                TopicCollection([topic]), request_timeout=ID_TIMEOUT_S
            )
            described = self._answer(asked[topic], ID_TIMEOUT_S)
        except KafkaException as failure:
            if failure.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise BrokerError(
                f"the broker does not tell the id of the topic {topic}: {failure.args[0].str()}",
                hint="Is the broker up, and may this user describe the topic? What is not in the "
                "tables yet is still in Kafka.",
            ) from failure
        return _usable(str(described.topic_id))

    def offered(self, keys: Iterable[TopicPartitionKey]) -> dict[TopicPartitionKey, Offered]:
        """Return what Kafka has of each partition.

        On the embedded broker ``end`` is too low: it answers with the start of the last batch.
        ``true_ends`` is right on both.

        Raises:
            TopicError: a topic has gone.
            BrokerError: the broker does not answer.
        """
        wanted = list(keys)
        ids: dict[str, str] = {}
        for topic in {topic for topic, _ in wanted}:
            found = self.topic_id(topic)
            if found is None:
                raise TopicError(
                    f"the broker does not know the topic {topic} any more",
                    hint="Was it deleted? Make it again, or leave its contract out (--contracts).",
                )
            ids[topic] = found
        low = self._offsets(wanted, EARLIEST)
        end = self._offsets(wanted, LATEST)
        return {key: Offered(ids[key[0]], low[key], max(end[key], low[key])) for key in wanted}

    def stable_ends(self, keys: Iterable[TopicPartitionKey]) -> dict[TopicPartitionKey, int]:
        """Return the offset after the last one that a ``read_committed`` consumer may see now."""
        return self._offsets(list(keys), LATEST, committed_only=True)

    def true_ends(self, keys: Iterable[TopicPartitionKey]) -> dict[TopicPartitionKey, int]:
        """Return, for each partition, the offset after the last one, by reading up to it.

        Raises:
            BrokerError: an end was not reached in time.
        """
        wanted = set(keys)
        ends: dict[TopicPartitionKey, int] = {}
        consumer = Consumer(
            {
                **client_config(self._settings),
                "group.id": "lakeward-end",
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "isolation.level": "read_uncommitted",
            },
            logger=LIBRDKAFKA_LOGGER,
        )
        try:
            consumer.assign([TopicPartition(*key, OFFSET_END) for key in wanted])
            deadline = time.monotonic() + TIMEOUT_S
            while wanted - ends.keys() and time.monotonic() < deadline:
                for message in consumer.consume(POLL_MESSAGES, 0.05):
                    error = message.error()
                    if error is None:
                        continue
                    if error.code() == KafkaError._PARTITION_EOF:
                        key = message.topic() or "", message.partition() or 0
                        ends[key] = message.offset() or 0
                    else:
                        logger.warning("end_not_read", extra={"why": error.str()})
        finally:
            consumer.close()
        left = sorted(wanted - ends.keys())
        if left:
            named = ", ".join(f"{topic}[{number}]" for topic, number in left)
            raise BrokerError(
                f"cannot find the end of {named} within {TIMEOUT_S:.0f} s",
                hint="Has each partition a leader?",
            )
        return ends

    def active_members(self, group: str) -> int:
        """Return how many consumers the broker counts in a group; 0 when it cannot tell."""
        try:
            found = self._admin.describe_consumer_groups([group], request_timeout=TIMEOUT_S)
            return len(self._answer(found[group], TIMEOUT_S).members)
        except KafkaException as failure:
            logger.info("group_unknown", extra={"group": group, "why": str(failure)})
            return 0

    def _offsets(
        self, keys: list[TopicPartitionKey], spec: Any, *, committed_only: bool = False
    ) -> dict[TopicPartitionKey, int]:
        if not keys:
            return {}
        level = IsolationLevel.READ_COMMITTED if committed_only else IsolationLevel.READ_UNCOMMITTED
        asked: Mapping[TopicPartition, Any] = self._admin.list_offsets(
            {TopicPartition(topic, number): spec for topic, number in keys},
            isolation_level=level,
            request_timeout=TIMEOUT_S,
        )
        try:
            return {
                (tp.topic, tp.partition): self._answer(future, TIMEOUT_S).offset
                for tp, future in asked.items()
            }
        except KafkaException as failure:
            raise BrokerError(
                f"cannot ask the broker for offsets: {failure.args[0].str()}",
                hint="Is the broker up, and may this user describe the topic?",
            ) from failure

    def _answer(self, future: Future[Any], timeout: float) -> Any:
        """Return what a request with this time limit came to; never wait for a stuck client."""
        try:
            return future.result(timeout + LATE_S)
        except TimeoutError:
            self._admin = admin_client(self._settings)
            raise BrokerError(
                f"the Kafka client gave no answer within {timeout + LATE_S:.0f} s",
                hint="Was the clock of this machine set back? The next question goes to a new "
                "client.",
            ) from None


def _usable(topic_id: str) -> str:
    return NO_ID if topic_id == NO_TOPIC_ID else topic_id
