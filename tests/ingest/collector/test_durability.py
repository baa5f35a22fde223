"""An acknowledged event is never lost: not by kill -9, not while Kafka is away."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson

from ingest.tenants.model import Quota
from tests.ingest.collector.conftest import make_key
from tests.ingest.collector.running import RunningCollector
from tests.kafka_servers.apache import ApacheKafka
from tests.kafka_servers.topics import KafkaForTest

TOPIC = "analytics-events"
FAST = Quota(requests_per_second=10_000, burst=10_000)


def entries(prefix: str, count: int, session: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC).isoformat()
    return [
        {
            "payload": {
                "event_id": f"{prefix}-{number}",
                "event_type": "worked",
                "occurred_at": now,
                "session_id": session,
                "properties": {"number": number},
            }
        }
        for number in range(count)
    ]


def on_kafka(kafka: KafkaForTest, tenant_id: str) -> list[dict[str, Any]]:
    """Return a tenant's events in the order of their partitions and offsets."""
    ends = kafka.admin.list_topics(TOPIC).topics[TOPIC].partitions
    total = sum(_end(kafka, number) for number in ends)
    messages = kafka.consume(TOPIC, total) if total else []
    found = sorted(messages, key=lambda m: (m.partition(), m.offset()))
    payloads = [orjson.loads(m.value() or b"{}") for m in found]
    return [payload for payload in payloads if payload.get("tenant_id") == tenant_id]


def _end(kafka: KafkaForTest, partition: int) -> int:
    from confluent_kafka import Consumer, TopicPartition

    from ingest.kafka import client_config

    consumer = Consumer({**client_config(kafka.settings), "group.id": "ends"})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), timeout=30)
        assert low == 0
        return int(high)
    finally:
        consumer.close()


def test_kill_9_under_load_loses_no_acknowledged_event(
    apache_kafka: KafkaForTest, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    key = make_key(home, "killed", quota=FAST)
    variables = {"KAFKA_BOOTSTRAP_SERVERS": apache_kafka.bootstrap_servers}
    acknowledged: list[str] = []
    stop = threading.Event()

    def send(collector: RunningCollector, name: str) -> None:
        with httpx.Client(headers={"X-Write-Key": key}, timeout=60) as client:
            for number in range(10_000):
                if stop.is_set():
                    return
                batch = entries(f"{name}-{number}", 20, name)
                try:
                    answer = client.post(f"{collector.url}/analytics", json=batch)
                except httpx.HTTPError:
                    return  # not acknowledged: the ledger does not have it
                for verdict in answer.json()["events"]:
                    assert verdict["status"] == "accepted"
                    acknowledged.append(verdict["event_id"])

    for round_number in range(2):
        with RunningCollector(home, **variables) as collector, ThreadPoolExecutor(4) as pool:
            senders = [pool.submit(send, collector, f"r{round_number}s{n}") for n in range(4)]
            before = len(acknowledged)
            while len(acknowledged) < before + 1_000:
                for sender in senders:
                    assert not sender.done() or sender.exception() is None
                stop.wait(0.05)
            collector.kill()
            for sender in senders:
                sender.result()
    with RunningCollector(home, **variables) as collector:  # what was spilled, if any, is drained
        assert collector.post("/analytics", entries("last", 1, "last"), key).status_code == 200
        assert collector.stop() == 0
    found = {payload["event_id"] for payload in on_kafka(apache_kafka, "killed")}
    assert len(acknowledged) > 2_000
    assert set(acknowledged) - found == set()


def test_while_kafka_is_away_events_wait_on_the_disk_and_come_in_order(
    own_apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    key = make_key(home, "away", quota=FAST)
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": own_apache_kafka.bootstrap_servers,
        "LAKEWARD_COLLECTOR_KAFKA_SECONDS": "2",
        "LAKEWARD_COLLECTOR_SPILL_BYTES": "200000",
    }

    def send(collector: RunningCollector, prefix: str, count: int = 20) -> httpx.Response:
        return collector.post("/analytics", entries(prefix, count, "one-session"), key)

    with RunningCollector(home, **variables) as collector:
        assert send(collector, "a").status_code == 200
        own_apache_kafka.kill()
        assert send(collector, "b").status_code == 200
        assert send(collector, "c").status_code == 200
        assert collector.metric("lakeward_collector_spilling") == 1
        assert collector.metric("lakeward_collector_spill_bytes") > 0
        collector.kill()
    with RunningCollector(home, **variables) as collector:  # Kafka is still away
        assert send(collector, "d").status_code == 200
        taken = 0
        while (answer := send(collector, f"full-{taken}", 100)).status_code == 200:
            taken += 1
            assert taken < 20
        assert (answer.status_code, answer.json()["code"]) == (503, "cannot_keep")
        assert int(answer.headers["Retry-After"]) >= 1
        assert collector.get("/readyz").status_code == 503
        assert collector.get("/health").status_code == 200
        own_apache_kafka.start()
        while collector.metric("lakeward_collector_spilling"):
            threading.Event().wait(0.2)
        assert send(collector, "e").status_code == 200
        assert collector.metric("lakeward_collector_spill_bytes") == 0
        assert collector.stop() == 0

    from tests.conftest import kafka_for_test

    kafka = kafka_for_test("apache", own_apache_kafka.bootstrap_servers, tmp_path)
    names = [payload["event_id"] for payload in on_kafka(kafka, "away")]
    first_seen = list(dict.fromkeys(names))
    full = [f"full-{n}" for n in range(taken)]
    wanted = [
        f"{prefix}-{number}"
        for prefix in ["a", "b", "c", "d", *full, "e"]
        for number in range(100 if prefix.startswith("full") else 20)
    ]
    assert first_seen == wanted
