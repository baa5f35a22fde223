"""What a running writer shows of itself, on both brokers."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingest.listen_address import ListenAddress
from lake.errors import MetricsAddressError
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig, wait
from tests.object_stores.seaweed import SeaweedFs
from tests.ports import free_ports


@pytest.fixture
def address() -> ListenAddress:
    return ListenAddress("127.0.0.1", *free_ports(1))


def ask(address: ListenAddress, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def sums(address: ListenAddress) -> dict[str, float]:
    """Each sample's value, summed over contract, topic and partition; other labels are kept."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(ask(address, "/metrics")[1]):
        for sample in family.samples:
            kept = [
                v for k, v in sample.labels.items() if k not in ("contract", "topic", "partition")
            ]
            key = " ".join([sample.name.removeprefix("lakeward_writer_"), *kept])
            found[key] = found.get(key, 0.0) + sample.value
    return found


def is_ready(address: ListenAddress) -> Callable[[], bool]:
    return lambda: ask(address, "/readyz")[0] == 200


def failing(address: ListenAddress) -> list[str]:
    document = json.loads(ask(address, "/readyz")[1])
    return [check["name"] for check in document["checks"] if not check["ok"]]


def test_metrics_agree_with_what_is_in_the_tables(
    kafka: KafkaForTest, address: ListenAddress
) -> None:
    rig = Rig.make(kafka)
    rig.produce(30, partition=0, poison=3)
    rig.produce(20, partition=1)
    with rig.writing(metrics=address) as writer:
        rig.wait_for_rows(50)
        writer.wait_for_partitions(2)
        wait(lambda: sums(address)["messages_total"] == 53, "the counters")
        wait(lambda: sums(address).get("lag_messages") == 0, "the lag")
        wait(is_ready(address), "readiness")
        shown = sums(address)
        assert ask(address, "/healthz")[0] == 200
        assert shown["rows_total"] == 50
        assert shown["dead_letters_total not_json"] == 3
        assert shown["dead_letters_total tombstone"] == 0
        assert shown["payload_bytes_total"] > 53 * 7
        assert shown["partitions"] == 2
        assert shown["lag_seconds"] == 0
        assert shown["ready"] == shown["lake_available"] == 1
        assert shown["flush_seconds_count"] >= 1
        assert shown["commit_seconds_count dead_letters"] >= 1
        for table in ("visits", "dead_letters"):
            opened = rig.lake.open("bronze", table)
            assert shown[f"table_version {table}"] == opened.version()
            assert shown[f"table_files {table}"] >= 1
            assert shown[f"last_commit_timestamp_seconds {table}"] > 1_700_000_000
        assert "acme" not in ask(address, "/metrics")[1], "no label tells of tenants"
        writer.end()
    with pytest.raises(OSError, match="refused"):
        ask(address, "/metrics")


def test_a_second_writer_of_a_group_stands_by_and_is_ready(
    apache_kafka: KafkaForTest, address: ListenAddress
) -> None:
    rig = Rig.make(apache_kafka, partitions=1)
    other = ListenAddress("127.0.0.1", *free_ports(1))
    with rig.writing(metrics=address) as first, rig.writing(metrics=other) as second:
        for one in (address, other):
            wait(lambda one=one: answers(one), "the server")  # type: ignore[misc]
            wait(is_ready(one), "both to be ready")
        rig.produce(5)
        rig.wait_for_rows(5)
        assert sorted(sums(one)["partitions"] for one in (address, other)) == [0, 1]
        first.end()
        second.end()


def answers(address: ListenAddress) -> bool:
    try:
        return ask(address, "/healthz")[0] == 200
    except OSError:
        return False


def test_a_lake_that_is_away_makes_the_writer_unready_and_leaves_it_alive(
    embedded_kafka: KafkaForTest, object_store: SeaweedFs, address: ListenAddress
) -> None:
    rig = Rig.make(embedded_kafka, partitions=1, lake_root=object_store.root)
    rig.produce(5)
    with rig.writing(metrics=address) as writer:
        rig.wait_for_rows(5)
        wait(is_ready(address), "readiness")
        object_store.kill()
        rig.produce(5)
        wait(lambda: failing(address) == ["lake"], "the lake to be missed")
        assert ask(address, "/healthz")[0] == 200
        assert sums(address)["ready"] == sums(address)["lake_available"] == 0
        object_store.start()
        wait(is_ready(address), "readiness again")
        wait(lambda: sums(address)["commit_conflicts_total visits"] >= 1, "the conflict")
        writer.end()
    rig.assert_exactly_once()


def test_a_taken_port_is_told_before_anything_is_written(
    embedded_kafka: KafkaForTest, address: ListenAddress, tmp_path: Path
) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    rig.produce(5)
    with socket.socket() as other:
        other.bind((address.host, address.port))
        other.listen()
        with pytest.raises(MetricsAddressError, match="in use"):
            rig.drain(metrics=address)
    assert not rig.lake.names("bronze")
