"""From settings to librdkafka's properties, and to a client."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ingest.announcement import Announcement
from ingest.errors import BrokerError
from ingest.settings import IngestSettings

LIBRDKAFKA_LOGGER = logging.getLogger("ingest.kafka.librdkafka")
"""Takes what librdkafka would write to standard error; silent until logging is set up."""
LIBRDKAFKA_LOGGER.addHandler(logging.NullHandler())

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
        BrokerError: no broker is known, a certificate file is missing, or ``KAFKA_EXTRA_CONFIG``
            is wrong.
    """
    config: dict[str, str | int] = dict(_extra_properties(settings.extra_config))
    config["bootstrap.servers"] = _bootstrap_servers(settings)
    if settings.bootstrap_servers is None:
        return config
    for variable, file in {
        "KAFKA_SSL_CA_LOCATION": settings.ssl_ca_location,
        "KAFKA_SSL_CERTIFICATE_LOCATION": settings.ssl_certificate_location,
        "KAFKA_SSL_KEY_LOCATION": settings.ssl_key_location,
    }.items():
        if file is not None and not os.access(file, os.R_OK):
            raise BrokerError(
                f"{variable}: {file} " + ("cannot be read" if file.exists() else "does not exist"),
                hint="It names a PEM file.",
            )
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
    return connect(client_config(settings))


def connect(config: Mapping[str, Any]) -> AdminClient:
    """Return an admin client for ready-made properties.

    Raises:
        BrokerError: librdkafka refuses one.
    """
    try:
        return AdminClient(dict(config), logger=LIBRDKAFKA_LOGGER)
    except KafkaException as failure:
        raise BrokerError(
            f"librdkafka does not accept the Kafka settings: {failure.args[0].str()}",
            hint="Look at the KAFKA_* variables; docs/guides/kafka.md explains each.",
        ) from failure


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
