"""The embedded broker: found, used, stopped, and said clearly when not."""

from __future__ import annotations

from tests.kafka_servers.topics import KafkaForTest


def test_what_is_produced_is_consumed_as_it_was(kafka: KafkaForTest) -> None:
    topic = kafka.unique("round-trip")
    kafka.create_topic(topic, 2)
    kafka.produce(
        topic,
        [
            (b"k", b"one", [("trace", b"\x00\x01"), ("empty", None)], 0),
            (None, b"two", None, 0),
            (b"k", None, None, 1),
        ],
    )
    got = [
        (m.partition(), m.offset(), m.key(), m.value(), m.headers())
        for m in kafka.consume(topic, 3)
    ]
    assert sorted(got, key=lambda row: row[:2]) == [
        (0, 0, b"k", b"one", [("trace", b"\x00\x01"), ("empty", None)]),
        (0, 1, None, b"two", None),
        (1, 0, b"k", None, None),
    ]
