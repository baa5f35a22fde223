"""How the writer's consumer is set up, and what its errors mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError

from ingest.errors import BrokerError, LakewardError, TopicError
from ingest.kafka import client_config
from ingest.settings import IngestSettings
from lake.settings import LakeSettings

EMBEDDED_SESSION_SECONDS: Final = 6.0
MAX_POLL_SECONDS: Final = 300.0
QUEUED_KB: Final = 8_192
"""Payloads that librdkafka reads ahead; each message takes it some 350 bytes beside its payload."""

_TOPIC_GONE: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)

_NEVER_A_MEMBER: Final = {
    KafkaError.INVALID_SESSION_TIMEOUT: "LAKEWARD_SESSION_SECONDS must lie between the broker's "
    "group.min.session.timeout.ms (by default 6 s) and group.max.session.timeout.ms.",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "The user needs the right to read as this group; its "
    "name is LAKEWARD_WRITER_NAME.",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "Another program is in a group of this name: give "
    "this writer another LAKEWARD_WRITER_NAME, before its first commit.",
    KafkaError.INVALID_GROUP_ID: "The group's name is LAKEWARD_WRITER_NAME.",
}


def session_seconds(lake: LakeSettings, *, is_embedded: bool) -> float:
    """Return how long a writer may be silent before it loses its partitions."""
    if is_embedded:
        return min(EMBEDDED_SESSION_SECONDS, lake.session_seconds)
    return lake.session_seconds


def configuration(
    ingest: IngestSettings,
    lake: LakeSettings,
    *,
    is_embedded: bool,
    is_static: bool,
    on_error: Callable[[KafkaError], None],
) -> dict[str, Any]:
    """Return librdkafka's configuration for a writer."""
    session = int(session_seconds(lake, is_embedded=is_embedded) * 1000)
    # the embedded broker's group joins wait for max.poll.interval.ms
    poll = session if is_embedded else max(session, int(MAX_POLL_SECONDS * 1000))
    found: dict[str, Any] = {
        "session.timeout.ms": session,
        "heartbeat.interval.ms": min(3000, session // 3),
        "max.poll.interval.ms": poll,
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 50,
        "queued.max.messages.kbytes": QUEUED_KB,
        **client_config(ingest),
        "group.id": lake.writer_name,
        "group.protocol": "classic",
        "partition.assignment.strategy": "range,roundrobin",  # all are given up, then assigned
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "error_cb": on_error,
    }
    if lake.writer_instance is not None and not is_static:
        found["group.instance.id"] = lake.writer_instance
    return found


def fatal(topic: str, error: KafkaError) -> LakewardError | None:
    """Return what to raise for an error that no waiting will mend; None for any other."""
    if error.code() in _TOPIC_GONE:
        return TopicError(
            f"the topic {topic} can no longer be read: {error.str()}",
            hint="Was it deleted, or the right to read it taken away?",
        )
    if error.code() in _NEVER_A_MEMBER:
        return BrokerError(
            f"Kafka does not let this writer into its group: {error.str()}",
            hint=_NEVER_A_MEMBER[error.code()],
        )
    if error.fatal():
        return BrokerError(f"Kafka refuses this writer: {error.str()}")
    return None
