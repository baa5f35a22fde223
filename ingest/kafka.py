"""The way to Kafka: settings to librdkafka's properties, and what must be true before work starts.

librdkafka writes its troubles to standard error unless it is given a logger; pass
``LIBRDKAFKA_LOGGER`` as ``logger=`` to each client, and say what matters in an exception.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ingest.announcement import Announcement
from ingest.broker import CLUSTER_ID
from ingest.contracts.model import Contract
from ingest.errors import BrokerError, TopicError
from ingest.settings import IngestSettings

LIBRDKAFKA_LOGGER = logging.getLogger("ingest.kafka.librdkafka")
"""Takes what librdkafka would write to standard error; silent until logging is set up."""
LIBRDKAFKA_LOGGER.addHandler(logging.NullHandler())

NO_TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""What brokers older than Kafka 2.8 answer: they do not tell a recreated topic from the old one."""

REACH_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 15.0

OWNED_PROPERTIES = frozenset(
    {
        "auto.offset.reset",
        "bootstrap.servers",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "group.id",
        "group.instance.id",
        "isolation.level",
        "metadata.broker.list",
        "transactional.id",
    }
)
"""Properties on which lakeward's promise rests; KAFKA_EXTRA_CONFIG may not set them."""


def client_config(settings: IngestSettings) -> dict[str, str | int]:
    """Return librdkafka's properties for reaching the broker: addresses, security and extras.

    With no ``KAFKA_BOOTSTRAP_SERVERS`` it is the embedded broker that runs for this home.

    Raises:
        BrokerError: no broker is known, or ``KAFKA_EXTRA_CONFIG`` is wrong.
    """
    config: dict[str, str | int] = dict(_extra_properties(settings.extra_config))
    config["bootstrap.servers"] = _bootstrap_servers(settings)
    if settings.bootstrap_servers is None:
        return config
    password = settings.sasl_password
    for name, value in {
        "security.protocol": settings.security_protocol,
        "sasl.mechanisms": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": None if password is None else password.get_secret_value(),
        "ssl.ca.location": settings.ssl_ca_location,
        "ssl.certificate.location": settings.ssl_certificate_location,
        "ssl.key.location": settings.ssl_key_location,
    }.items():
        if value is not None:
            config[name] = str(value)
    return config


def admin_client(settings: IngestSettings) -> AdminClient:
    """Return a client for topics and groups, its log routed to ``LIBRDKAFKA_LOGGER``.

    Raises:
        BrokerError: no broker is known, or librdkafka refuses a property.
    """
    return _admin(client_config(settings))


def check_reachable(settings: IngestSettings, *, timeout_s: float = REACH_TIMEOUT_S) -> None:
    """Return when the broker answers and can be talked to.

    Raises:
        BrokerError: it does not within ``timeout_s``, or sooner when waiting cannot help
            (a wrong name, password or certificate); says which address and why.
    """
    config = client_config(settings)
    servers = str(config["bootstrap.servers"])
    failures: list[KafkaError] = []
    quiet = {"log_level": 0, "reconnect.backoff.ms": 300, "reconnect.backoff.max.ms": 1000}
    admin = _admin({**config, **quiet, "error_cb": failures.append})
    deadline = time.monotonic() + timeout_s
    while True:
        left = deadline - time.monotonic()
        try:
            metadata = admin.list_topics(timeout=max(0.1, min(1.0, left)))
        except KafkaException as error:
            admin.poll(0)
            final = next((f for f in failures if f.code() in _NO_USE_WAITING), None)
            if final is not None or time.monotonic() >= deadline:
                named = [f for f in failures if f.code() != KafkaError._ALL_BROKERS_DOWN]
                raise _unreachable(servers, final or (named or [error.args[0]])[-1]) from None
            continue
        break
    _check_advertised(servers, [(str(b.host), b.port) for b in metadata.brokers.values()])


def ensure_topics(settings: IngestSettings, contracts: Iterable[Contract]) -> list[str]:
    """Make the contracts' topics that do not exist yet; return the names of those made.

    A topic that exists is left as it is, whatever its number of partitions.

    Raises:
        BrokerError: the broker does not answer.
        TopicError: the broker refuses to make a topic.
    """
    check_reachable(settings)
    admin = admin_client(settings)
    wanted = {contract.topic for contract in contracts}
    missing = sorted(wanted - _topics(admin).keys())
    if not missing:
        return []
    futures = admin.create_topics(
        [NewTopic(name, settings.topic_partitions, settings.topic_replication) for name in missing],
        request_timeout=REQUEST_TIMEOUT_S,
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


def _bootstrap_servers(settings: IngestSettings) -> str:
    if settings.bootstrap_servers is not None:
        return settings.bootstrap_servers
    running = Announcement.read(settings.home)
    if running is None:
        raise BrokerError(
            f"no broker: KAFKA_BOOTSTRAP_SERVERS is not set and no embedded one runs for "
            f"{settings.home}",
            hint="Run `lakeward broker` in another terminal, or set KAFKA_BOOTSTRAP_SERVERS.",
        )
    return running.bootstrap_servers


def _extra_properties(text: str | None) -> dict[str, str | int]:
    if not text:
        return {}
    example = """For example: KAFKA_EXTRA_CONFIG='{"client.rack": "eu-1a"}'"""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BrokerError(f"KAFKA_EXTRA_CONFIG is not JSON: {error}", hint=example) from error
    if not isinstance(document, dict):
        raise BrokerError("KAFKA_EXTRA_CONFIG must be one JSON object", hint=example)
    properties: dict[str, str | int] = {}
    for name, value in document.items():
        if name in OWNED_PROPERTIES:
            raise BrokerError(
                f"KAFKA_EXTRA_CONFIG may not set {name!r}: lakeward sets it itself",
                hint="Remove it; docs/guides/kafka.md lists the properties that lakeward owns.",
            )
        if isinstance(value, bool):
            properties[name] = str(value).lower()
        elif isinstance(value, str | int):
            properties[name] = value
        elif isinstance(value, float):
            properties[name] = str(value)
        else:
            raise BrokerError(
                f"KAFKA_EXTRA_CONFIG: {name!r} must be text, a number, true or false", hint=example
            )
    return properties


def _admin(config: Mapping[str, Any]) -> AdminClient:
    try:
        return AdminClient(dict(config), logger=LIBRDKAFKA_LOGGER)
    except KafkaException as failure:
        raise BrokerError(
            f"librdkafka does not accept the Kafka settings: {failure.args[0].str()}",
            hint="Look at the KAFKA_* variables; docs/guides/kafka.md explains each.",
        ) from failure


_NO_USE_WAITING = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._RESOLVE,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)


def _unreachable(servers: str, error: KafkaError) -> BrokerError:
    hint = {
        KafkaError._AUTHENTICATION: "Look at KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and "
        "KAFKA_SASL_PASSWORD.",
        KafkaError._RESOLVE: "Is the host name in KAFKA_BOOTSTRAP_SERVERS right?",
        KafkaError._SSL: "Look at KAFKA_SECURITY_PROTOCOL and KAFKA_SSL_CA_LOCATION (the file of "
        "the authority that signed the broker's certificate).",
    }.get(
        error.code(),
        "Is the broker running, is KAFKA_BOOTSTRAP_SERVERS right, and does "
        "KAFKA_SECURITY_PROTOCOL fit its listener?",
    )
    return BrokerError(f"cannot reach Kafka at {servers}: {_reason(error)}", hint=hint)


def _reason(error: KafkaError) -> str:
    """Return librdkafka's words without its thread names and timings."""
    text = re.sub(r"^(?:\w+://)?\S+?/(?:bootstrap|\d+): ", "", error.str())
    text = re.sub(r" \(after \d+ms in state \w+[^)]*\)", "", text)
    return re.sub(r"ipv[46]#", "", text)


def _check_advertised(servers: str, brokers: list[tuple[str, int]]) -> None:
    """Refuse a cluster that answers but sends its clients to addresses they cannot reach."""
    for host, port in brokers:
        try:
            socket.create_connection((host, port), timeout=3).close()
        except OSError:
            continue
        return
    named = ", ".join(f"{host}:{port}" for host, port in brokers) or "no broker at all"
    raise BrokerError(
        f"Kafka at {servers} answers, but sends clients on to {named}, which this machine cannot "
        "reach",
        hint="Set the broker's advertised.listeners to an address that this machine can reach.",
    )


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
