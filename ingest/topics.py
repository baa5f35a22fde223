"""Topics: made when missing, and told apart from an older one of the same name."""

from __future__ import annotations

import time
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ingest.broker import CLUSTER_ID
from ingest.connection import admin_client
from ingest.contracts.model import Contract
from ingest.errors import BrokerError, TopicError
from ingest.reachability import check_reachable
from ingest.settings import IngestSettings

REQUEST_TIMEOUT_S = 15.0

NO_TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""What brokers older than Kafka 2.8 answer: they do not tell a recreated topic from the old one."""


def ensure_topics(settings: IngestSettings, contracts: Iterable[Contract]) -> list[str]:
    """Make the contracts' topics that do not exist yet; return the names of those made.

    A topic that exists is left as it is, whatever its number of partitions.

    Raises:
        BrokerError: the broker does not answer.
        TopicError: the broker refuses to make a topic.
    """
    names = {contract.topic for contract in contracts}
    return _make_missing(
        settings,
        [NewTopic(one, settings.topic_partitions, settings.topic_replication) for one in names],
    )


def ensure_compacted_topic(settings: IngestSettings, name: str, partitions: int) -> bool:
    """Make a topic that keeps the newest message of each key; tell whether it was not there.

    A topic that exists is left as it is. The embedded broker never removes a message, compacted
    or not.

    Raises:
        BrokerError: the broker does not answer.
        TopicError: the broker refuses to make the topic.
    """
    compacted = {"cleanup.policy": "compact"}
    topic = NewTopic(name, partitions, settings.topic_replication, config=compacted)
    return bool(_make_missing(settings, [topic]))


def _make_missing(settings: IngestSettings, topics: Iterable[NewTopic]) -> list[str]:
    check_reachable(settings)
    admin = admin_client(settings)
    wanted = {topic.topic: topic for topic in topics}
    missing = sorted(wanted.keys() - _topics(admin).keys())
    if not missing:
        return []
    futures = admin.create_topics(
        [wanted[name] for name in missing], request_timeout=REQUEST_TIMEOUT_S
    )
    made: list[str] = []
    for name, future in futures.items():
        try:
            future.result()
        except KafkaException as failure:
            error = failure.args[0]
            if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue  # someone else was quicker; the topic is there
            raise TopicError(
                f"the broker does not make the topic {name!r}: {error.str()}",
                hint=_topic_hint(error, settings),
            ) from failure
        made.append(name)
    _wait_for_leaders(admin, set(missing))
    return made


def missing_topics(admin: AdminClient, contracts: Iterable[Contract]) -> list[str]:
    """Return the names of the contracts' topics that do not exist.

    Raises:
        BrokerError: the broker does not answer.
    """
    return sorted({contract.topic for contract in contracts} - _topics(admin).keys())


def topic_ids(admin: AdminClient, topics: Iterable[str]) -> dict[str, str]:
    """Return the id of each of ``topics`` that exists; one that does not is left out.

    A topic that is deleted and made again has another id: the only sign that its offsets began
    anew.

    Raises:
        BrokerError: the broker does not answer.
    """
    names = sorted(set(topics))
    if not names:
        return {}
    ids: dict[str, str] = {}
    described = admin.describe_topics(TopicCollection(names), request_timeout=REQUEST_TIMEOUT_S)
    for name, future in described.items():
        try:
            ids[name] = str(future.result().topic_id)
        except KafkaException as failure:
            if failure.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise BrokerError(
                    f"cannot ask the broker for the id of topic {name!r}: {failure.args[0].str()}",
                    hint="Is the broker up, and may this user describe the topic?",
                ) from failure
    return ids


def is_embedded(admin: AdminClient) -> bool:
    """Return whether the broker is the embedded one, however its address was found.

    It needs other group timeouts than Apache Kafka: a join waits for ``max.poll.interval.ms``.

    Raises:
        BrokerError: the broker does not answer.
    """
    try:
        return admin.list_topics(timeout=REQUEST_TIMEOUT_S).cluster_id == CLUSTER_ID
    except KafkaException as failure:
        raise BrokerError(
            f"cannot ask the broker what it is: {failure.args[0].str()}", hint="Is the broker up?"
        ) from failure


def _topics(admin: AdminClient) -> dict[str, bool]:
    """Return each topic and whether all its partitions have a leader."""
    try:
        metadata = admin.list_topics(timeout=REQUEST_TIMEOUT_S)
    except KafkaException as failure:
        raise BrokerError(
            f"cannot list the topics: {failure.args[0].str()}", hint="Is the broker up?"
        ) from failure
    return {
        name: topic.error is None
        and bool(topic.partitions)
        and all(partition.leader >= 0 for partition in topic.partitions.values())
        for name, topic in metadata.topics.items()
    }


def _wait_for_leaders(admin: AdminClient, names: set[str]) -> None:
    """Return when ``names`` can be written to: a broker says "made" somewhat before that."""
    deadline = time.monotonic() + REQUEST_TIMEOUT_S
    while True:
        known = _topics(admin)
        waiting = sorted(name for name in names if not known.get(name, False))
        if not waiting:
            return
        if time.monotonic() >= deadline:
            raise TopicError(
                f"no leader for {', '.join(waiting)} after {REQUEST_TIMEOUT_S:.0f} s",
                hint="Are enough brokers of the cluster up?",
            )
        time.sleep(0.05)


def _topic_hint(error: KafkaError, settings: IngestSettings) -> str:
    if error.code() == KafkaError.INVALID_REPLICATION_FACTOR:
        return (
            f"LAKEWARD_TOPIC_REPLICATION is {settings.topic_replication}; the cluster has fewer "
            "brokers, or asks for another number."
        )
    if error.code() in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    ):
        return "Make the topic with a user who may, or give this one the right to create topics."
    return "Make the topic by your cluster's own means and try again."
