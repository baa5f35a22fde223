"""SASL and TLS against a real Apache Kafka: the settings work, and wrong ones are explained."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.errors import BrokerError
from ingest.kafka import check_reachable
from ingest.settings import IngestSettings
from tests.kafka_servers.apache import ApacheKafka
from tests.kafka_servers.certificates import Certificates, make_certificates
from tests.kafka_servers.topics import KafkaForTest

USER, PASSWORD = "lakeward", "correct horse"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
PLAIN = (
    f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
)


@dataclass(frozen=True, slots=True)
class SecureKafka:
    server: ApacheKafka
    certificates: Certificates


@pytest.fixture(scope="module")
def secure(
    tmp_path_factory: pytest.TempPathFactory, apache_or_skip: Callable[..., ApacheKafka]
) -> Iterator[SecureKafka]:
    """One Apache Kafka with every kind of listener that the guide describes."""
    folder = tmp_path_factory.mktemp("secure")
    files = make_certificates(folder / "tls", dt.datetime.now(dt.UTC))
    tls = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(files.broker_with_key),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(files.authority),
    }
    server = apache_or_skip(
        folder / "kafka",
        listeners={
            "SCRAM": "SASL_PLAINTEXT",
            "PLAIN": "SASL_PLAINTEXT",
            "SCRAM_TLS": "SASL_SSL",
            "TLS": "SSL",
            "MUTUAL": "SSL",
        },
        properties={
            **tls,
            "listener.name.mutual.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": SCRAM,
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram_tls.scram-sha-512.sasl.jaas.config": SCRAM,
            "listener.name.scram_tls.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.plain.plain.sasl.jaas.config": PLAIN,
            "listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
        },
        format_options=["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"],
    )
    with server:
        yield SecureKafka(server, files)


def settings_for(secure: SecureKafka, listener: str, **values: object) -> IngestSettings:
    return IngestSettings(
        _env_file=None,
        bootstrap_servers=secure.server.address(listener),
        **values,  # type: ignore[arg-type]
    )


def test_scram_over_plain_text(secure: SecureKafka) -> None:
    check_round_trip(secure, "SCRAM", security_protocol="SASL_PLAINTEXT", **scram())


def test_plain_user_and_password(secure: SecureKafka) -> None:
    check_round_trip(
        secure,
        "PLAIN",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username=USER,
        sasl_password=PASSWORD,
    )


def test_scram_over_tls(secure: SecureKafka) -> None:
    check_round_trip(
        secure,
        "SCRAM_TLS",
        security_protocol="SASL_SSL",
        ssl_ca_location=secure.certificates.authority,
        **scram(),
    )


def test_tls_alone(secure: SecureKafka) -> None:
    check_round_trip(
        secure,
        "TLS",
        security_protocol="SSL",
        ssl_ca_location=secure.certificates.authority,
    )


def test_tls_with_a_client_certificate(secure: SecureKafka) -> None:
    check_round_trip(
        secure,
        "MUTUAL",
        security_protocol="SSL",
        ssl_ca_location=secure.certificates.authority,
        ssl_certificate_location=secure.certificates.client,
        ssl_key_location=secure.certificates.client_key,
    )


def test_a_wrong_password_is_said_at_once_and_names_the_settings(secure: SecureKafka) -> None:
    wrong = scram() | {"sasl_password": "incorrect"}
    error = refusal(secure, "SCRAM", security_protocol="SASL_PLAINTEXT", **wrong)
    assert "uthentication" in error.message
    assert "KAFKA_SASL_PASSWORD" in (error.hint or "")
    assert "incorrect" not in str(error)


def test_a_mechanism_that_the_broker_does_not_offer_is_said(secure: SecureKafka) -> None:
    wrong = scram() | {"sasl_mechanism": "PLAIN"}
    error = refusal(secure, "SCRAM", security_protocol="SASL_PLAINTEXT", **wrong)
    assert "KAFKA_SASL_MECHANISM" in (error.hint or "")


def test_an_unknown_authority_names_the_setting(secure: SecureKafka) -> None:
    error = refusal(secure, "TLS", security_protocol="SSL")
    assert "certificate" in error.message
    assert "KAFKA_SSL_CA_LOCATION" in (error.hint or "")


def test_plain_text_to_a_tls_listener_points_at_the_protocol(secure: SecureKafka) -> None:
    error = refusal(secure, "TLS", timeout_s=10)
    assert "KAFKA_SECURITY_PROTOCOL" in (error.hint or "")


@pytest.mark.parametrize("name", ["ca", "certificate", "key"])
def test_a_certificate_file_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    missing = tmp_path / "no-such.pem"
    settings = IngestSettings(
        _env_file=None,
        bootstrap_servers="127.0.0.1:1",
        **{f"ssl_{name}_location": missing},  # type: ignore[arg-type]
    )
    with pytest.raises(BrokerError, match=f"KAFKA_SSL_{name.upper()}_LOCATION: {missing}"):
        check_reachable(settings)


def scram() -> dict[str, object]:
    return {
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": USER,
        "sasl_password": PASSWORD,
    }


def check_round_trip(secure: SecureKafka, listener: str, **values: object) -> None:
    """A message goes in and comes out through the listener, with lakeward's settings alone."""
    settings = settings_for(secure, listener, **values)
    check_reachable(settings)
    kafka = KafkaForTest("apache", settings, secure.server.address(listener))
    topic = kafka.unique(listener.lower())
    kafka.create_topic(topic, 1)
    kafka.produce(topic, [(b"k", b"v")])
    assert [(m.key(), m.value()) for m in kafka.consume(topic, 1)] == [(b"k", b"v")]


def refusal(
    secure: SecureKafka, listener: str, timeout_s: float = 30, **values: object
) -> BrokerError:
    with pytest.raises(BrokerError) as caught:
        check_reachable(settings_for(secure, listener, **values), timeout_s=timeout_s)
    assert secure.server.address(listener) in caught.value.message
    return caught.value
