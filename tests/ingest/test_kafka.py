"""Reaching Kafka: what is made, what is told apart, and what is said when it does not work."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.broker import EmbeddedBroker
from ingest.contracts.model import Contract, Field
from ingest.errors import BrokerError, TopicError
from ingest.kafka import (
    OWNED_PROPERTIES,
    admin_client,
    check_reachable,
    client_config,
    ensure_topics,
    is_embedded,
    topic_ids,
)
from ingest.settings import IngestSettings
from tests.kafka_servers.apache import ApacheKafka
from tests.kafka_servers.topics import KafkaForTest

GUIDE = Path(__file__).parents[2] / "docs/guides/kafka.md"


def contract(topic: str) -> Contract:
    return Contract(
        name=topic.replace("-", "_"),
        version="1.0.0",
        topic=topic,
        owner="tests",
        description="",
        fields=(Field(name="event_id", payload_name="event_id", kind="string"),),
        key=("event_id",),
        event_time="occurred_at",
        message_key=("event_id",),
    )


def settings(**values: object) -> IngestSettings:
    return IngestSettings(_env_file=None, **values)  # type: ignore[arg-type]


def test_missing_topics_are_made_and_existing_ones_left_alone(kafka: KafkaForTest) -> None:
    old, new = kafka.unique("old"), kafka.unique("new")
    old_id = kafka.create_topic(old, 1)
    contracts = [contract(old), contract(new)]
    assert ensure_topics(kafka.settings, contracts) == [new]
    assert ensure_topics(kafka.settings, contracts) == []
    topics = kafka.admin.list_topics(timeout=10).topics
    assert len(topics[old].partitions) == 1
    assert len(topics[new].partitions) == kafka.settings.topic_partitions
    assert topic_ids(kafka.admin, [old]) == {old: old_id}
    kafka.produce(new, [(None, b"at once", None, p) for p in range(3)])


def test_a_topic_that_is_deleted_and_made_again_has_another_id(kafka: KafkaForTest) -> None:
    topic, other = kafka.unique("recreated"), kafka.unique("other")
    first = kafka.create_topic(topic, 1)
    other_id = kafka.create_topic(other, 1)
    assert topic_ids(kafka.admin, [topic, other]) == {topic: first, other: other_id}
    kafka.delete_topic(topic)
    assert topic_ids(kafka.admin, [topic, other]) == {other: other_id}
    second = kafka.create_topic(topic, 1)
    assert len({first, second, other_id}) == 3


def test_the_two_kinds_of_broker_are_told_apart(kafka: KafkaForTest) -> None:
    assert is_embedded(kafka.admin) is (kafka.kind == "embedded")


def test_topic_ids_outlive_a_restart_and_so_do_messages(own_apache_kafka: ApacheKafka) -> None:
    here = KafkaForTest(
        "apache",
        settings(bootstrap_servers=own_apache_kafka.bootstrap_servers),
        own_apache_kafka.bootstrap_servers,
    )
    topic = here.unique("restart")
    topic_id = here.create_topic(topic, 1)
    here.produce(topic, [(None, b"before the stop")])
    own_apache_kafka.restart()
    here.produce(topic, [(None, b"before the kill")])
    own_apache_kafka.restart(kill=True)
    here.produce(topic, [(None, b"after both")])
    assert [m.value() for m in here.consume(topic, 3)] == [
        b"before the stop",
        b"before the kill",
        b"after both",
    ]
    assert topic_ids(here.admin, [topic]) == {topic: topic_id}


def test_more_replicas_than_brokers_names_the_setting(apache_kafka: KafkaForTest) -> None:
    greedy = apache_kafka.settings.model_copy(update={"topic_replication": 3})
    topic = apache_kafka.unique("greedy")
    with pytest.raises(TopicError, match=topic) as caught:
        ensure_topics(greedy, [contract(topic)])
    assert "LAKEWARD_TOPIC_REPLICATION is 3" in str(caught.value)


def test_an_unreachable_broker_is_one_message_and_no_log_spam(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody_listens.getsockname()[1]}"
        with (
            caplog.at_level(logging.WARNING),
            pytest.raises(BrokerError, match=f"cannot reach Kafka at {address}") as caught,
        ):
            check_reachable(settings(bootstrap_servers=address), timeout_s=8)
    assert "Connection refused" in caught.value.message
    assert "KAFKA_BOOTSTRAP_SERVERS" in (caught.value.hint or "")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_a_host_name_that_does_not_exist_is_said_without_waiting() -> None:
    with pytest.raises(BrokerError, match="Failed to resolve"):
        check_reachable(settings(bootstrap_servers="no-such-host.invalid:9092"), timeout_s=60)


def test_a_server_that_accepts_and_stays_silent_is_not_waited_for_for_ever() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BrokerError, match=f"cannot reach Kafka at {address}"):
            check_reachable(settings(bootstrap_servers=address), timeout_s=2)


def test_a_cluster_that_advertises_an_unreachable_address_is_found_out(
    make_apache_kafka: Callable[..., ApacheKafka],
) -> None:
    server = make_apache_kafka(
        listeners={"FORWARDED": "PLAINTEXT"}, advertise={"FORWARDED": "127.0.0.1:1"}
    )
    address = server.address("FORWARDED")
    with pytest.raises(BrokerError, match=f"Kafka at {address} answers") as caught:
        check_reachable(settings(bootstrap_servers=address))
    assert "127.0.0.1:1," in caught.value.message
    assert "advertised.listeners" in (caught.value.hint or "")


def test_security_settings_and_extra_properties_reach_librdkafka(tmp_path: Path) -> None:
    for name in ("ca.pem", "client.pem", "client.key"):
        (tmp_path / name).touch()
    config = client_config(
        settings(
            bootstrap_servers="a:1,b:2",
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="reader",
            sasl_password="hush",
            ssl_ca_location=tmp_path / "ca.pem",
            ssl_certificate_location=tmp_path / "client.pem",
            ssl_key_location=tmp_path / "client.key",
            extra_config='{"client.rack": "eu-1a", "socket.keepalive.enable": true, '
            '"socket.timeout.ms": 5000}',
        )
    )
    assert config == {
        "bootstrap.servers": "a:1,b:2",
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "reader",
        "sasl.password": "hush",
        "ssl.ca.location": str(tmp_path / "ca.pem"),
        "ssl.certificate.location": str(tmp_path / "client.pem"),
        "ssl.key.location": str(tmp_path / "client.key"),
        "client.rack": "eu-1a",
        "socket.keepalive.enable": "true",
        "socket.timeout.ms": 5000,
    }


def test_a_password_is_never_shown() -> None:
    told = repr(settings(bootstrap_servers="a:1", sasl_password="hush"))
    assert "hush" not in told


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is not JSON"),
        ('["client.rack"]', "must be one JSON object"),
        ('{"client.rack": null}', "'client.rack' must be text, a number, true or false"),
        ('{"client.rack": {"a": 1}}', "'client.rack' must be text, a number, true or false"),
        ('{"no.such.property": 1}', 'No such configuration property: "no.such.property"'),
        ('{"socket.timeout.ms": "soon"}', "socket.timeout.ms"),
    ],
)
def test_a_wrong_extra_property_is_named(text: str, complaint: str) -> None:
    wrong = settings(bootstrap_servers="127.0.0.1:1", extra_config=text)
    with pytest.raises(BrokerError) as caught:
        admin_client(wrong)
    assert complaint in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", sorted(OWNED_PROPERTIES))
def test_properties_that_the_promise_rests_on_cannot_be_set(name: str) -> None:
    wrong = settings(bootstrap_servers="127.0.0.1:1", extra_config=json.dumps({name: "x"}))
    with pytest.raises(BrokerError, match=name):
        client_config(wrong)
    assert f"`{name}`" in GUIDE.read_text(), "the guide lists what lakeward sets itself"


def test_the_embedded_broker_is_reached_without_the_security_of_a_cluster(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path):
        check_reachable(settings(home=tmp_path, security_protocol="SASL_SSL"))
