"""The whole way on a broker: a writer at work, replays beside it, the deep audit, the mirror."""

from __future__ import annotations

import json

from confluent_kafka import Consumer

from ingest.contracts.registry import ContractSet
from ingest.kafka import LIBRDKAFKA_LOGGER, client_config
from lake.dead_letters.mending import parse_mending
from lake.dead_letters.mirror import mirror
from lake.dead_letters.plan import ReplayPlan
from lake.dead_letters.replay import replay
from lake.dead_letters.selection import Selection
from lake.deep_audit import deep_audit
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.dead_letters.letterbox import Clock
from tests.lake.writer.rig import Rig, wait

MENDING = parse_mending({"steps": [{"set": {"path": "$.at", "letter": "appended_at"}}]}, "test")
LETTERS = 40


def test_letters_are_replayed_beside_a_writer_and_kafka_agrees(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka)
    now = Clock()

    def send_letters() -> None:
        lacking = [
            (f"k{n}", json.dumps({"event_id": f"d{n}", "tenant_id": "acme"}).encode(), None, n % 2)
            for n in range(LETTERS)
        ]
        kafka.produce(rig.topic, lacking)

    def take() -> int:
        plan = ReplayPlan(Selection(), MENDING)
        contracts = ContractSet((rig.contract,))
        return replay(rig.lake, contracts, None, plan, "run", now=now).replayed.total()

    rig.produce(200)
    send_letters()
    with rig.writing():
        rig.wait_for_rows(200)
        came_back = 0

        def all_are_back() -> bool:
            nonlocal came_back
            rig.produce(20)  # the writer has something to commit all the time
            came_back += take()
            return came_back == LETTERS

        wait(all_are_back, "every letter to be a row")
        rig.wait_for_rows(len(rig.ledger) + LETTERS)
    ids = rig.ids()
    assert set(ids.values()) == {1}
    assert len(ids) == len(rig.ledger) + LETTERS
    report = rig.audit()
    assert report.is_clean, report.findings
    assert (report.dead, report.replayed) == (0, LETTERS)
    deep = deep_audit(kafka.settings, rig.lake, [rig.contract])
    assert deep.is_clean, deep.total.differences
    assert deep.total.replayed == LETTERS

    topic = kafka.unique("mirror")
    sent = mirror(kafka.settings, rig.lake, topic)
    assert (sent.letters, sent.from_version) == (LETTERS, None)
    assert mirror(kafka.settings, rig.lake, topic).letters == 0
    keys = _keys(kafka, topic, LETTERS)
    assert len(set(keys)) == LETTERS
    assert all(key.startswith(f"{rig.topic}:".encode()) for key in keys)


def _keys(kafka: KafkaForTest, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {
            **client_config(kafka.settings),
            "group.id": kafka.unique("mirror-reader"),
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
            "max.poll.interval.ms": 6000,
        },
        logger=LIBRDKAFKA_LOGGER,
    )
    consumer.subscribe([topic])
    found: list[bytes] = []

    def read() -> bool:
        for message in consumer.consume(count, timeout=1.0):
            key = message.key()
            if message.error() is None and key is not None:
                found.append(key.encode() if isinstance(key, str) else key)
        return len(found) >= count

    try:
        wait(read, "the mirrored letters")
    finally:
        consumer.close()
    return found
