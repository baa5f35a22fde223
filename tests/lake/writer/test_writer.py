"""The writer on the embedded broker and on Apache Kafka: the same promises on both."""

from __future__ import annotations

import threading

import pytest
from confluent_kafka import Consumer, TopicPartition

import lake.writer.committer
import lake.writer.loop
import lake.writer.sink
from ingest.kafka import LIBRDKAFKA_LOGGER
from lake.errors import DeadLetterLimitError, OffsetGapError
from lake.writer.batch import Batch
from lake.writer.sink import Flushed
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig, payload, wait


def test_what_is_in_kafka_is_in_bronze_once_after_a_drain(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=3)
    rig.produce(2000, poison=7)
    done = rig.drain()
    assert (done.messages, done.rows, dict(done.dead)) == (2007, 2000, {"not_json": 7})
    rig.assert_exactly_once()


def test_a_second_drain_writes_only_what_is_new(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka)
    rig.produce(500)
    rig.drain()
    version = rig.lake.open("bronze", "visits").version()
    assert rig.drain().messages == 0
    assert rig.lake.open("bronze", "visits").version() == version
    rig.produce(1)
    assert rig.drain().messages == 1
    rig.assert_exactly_once()


def test_a_drain_of_an_empty_topic_ends(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka)
    assert rig.drain().messages == 0
    rig.produce(1)
    rig.drain()
    rig.assert_exactly_once()


def test_a_topic_with_one_message_at_offset_zero_is_read_once(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1)
    rig.produce(1)
    rig.drain()
    assert rig.drain().messages == 0
    rig.assert_exactly_once()


@pytest.mark.parametrize("value", [b"{broken", None], ids=["poison", "tombstones"])
def test_a_tail_without_a_single_good_message_advances(
    kafka: KafkaForTest, value: bytes | None
) -> None:
    rig = Rig.make(kafka)
    rig.produce(10)
    kafka.produce(rig.topic, [("k", value)] * 25)
    rig.poison = 25
    assert rig.drain().messages == 35
    assert rig.drain().messages == 0
    rig.assert_exactly_once()


def test_rows_carry_the_coordinates_that_kafka_gave(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=3)
    rig.produce(50)
    rig.drain()
    kept = {
        row["event_id"]: (row["_topic"], row["_partition"], row["_offset"], row["_appended_at"])
        for row in rig.lake.open("bronze", "visits").to_pyarrow_table().to_pylist()
    }
    for message in kafka.consume(rig.topic, 50):
        key = message.key()
        assert key is not None
        topic, partition, offset, appended_at = kept[key.decode()]
        assert (topic, partition, offset) == (
            message.topic(),
            message.partition(),
            message.offset(),
        )
        assert int(appended_at.timestamp() * 1000) == message.timestamp()[1]


def test_an_always_on_writer_keeps_up_and_finishes_its_buffer_when_stopped(
    kafka: KafkaForTest,
) -> None:
    rig = Rig.make(kafka, assignment="static")
    with rig.writing() as running:
        for _ in range(5):
            rig.produce(200, poison=1)
        rig.wait_for_rows(1000)
        slow = rig.settings.model_copy(update={"flush_seconds": 3600.0})
        running.end()
    with rig.writing(slow) as running:
        rig.produce(300)
        wait(lambda: bool(running.progress and running.progress[-1].buffered == 300), "polls")
        assert sum(rig.ids().values()) == 1000
        assert running.end().rows == 300
    rig.assert_exactly_once()


def test_two_writers_that_read_the_same_partitions_write_each_message_once(
    kafka: KafkaForTest,
) -> None:
    # what a drain beside a running writer, or a zombie, amounts to: both read everything
    rig = Rig.make(kafka, partitions=3, assignment="static", flush_seconds=0.05)
    with rig.writing() as one, rig.writing() as other:
        for _ in range(20):
            rig.produce(100, poison=1)
        rig.wait_for_rows(2000)
        one.end()
        other.end()
    rig.drain()
    rig.assert_exactly_once()


def test_drains_beside_a_running_writer_end_when_the_tables_have_everything(
    kafka: KafkaForTest,
) -> None:
    rig = Rig.make(kafka, assignment="static", flush_seconds=0.05)
    with rig.writing() as running:
        for _ in range(4):
            rig.produce(250)
            rig.drain()
            assert sum(rig.ids().values()) == len(rig.ledger)
        running.end()
    rig.assert_exactly_once()


def test_a_recreated_topic_is_refused_and_then_accepted(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1)
    rig.produce(20)
    rig.drain()
    kafka.delete_topic(rig.topic)
    kafka.create_topic(rig.topic, 1)
    rig.produce(30)
    with pytest.raises(OffsetGapError, match="up to offset 19"):
        rig.drain()
    assert sum(rig.ids().values()) == 20
    assert rig.drain(accept_gap=True).rows == 30
    assert [entry.kind for entry in rig.journal()] == ["topic_first_seen", "topic_recreated"]
    rig.assert_exactly_once()
    assert rig.drain().messages == 0


def test_too_many_dead_letters_stop_the_writer_until_it_is_forced(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1, dead_letter_window=100)
    rig.produce(10, poison=90)
    with pytest.raises(DeadLetterLimitError, match="not_json 90"):
        rig.drain()
    assert rig.ids() == {}
    rig.drain(force=True)
    rig.assert_exactly_once()


def test_kafkas_own_tools_see_no_lag_after_a_drain(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1)
    rig.produce(40)
    rig.drain()
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": rig.settings.writer_name},
        logger=LIBRDKAFKA_LOGGER,
    )
    (committed,) = consumer.committed([TopicPartition(rig.topic, 0)], timeout=10)
    consumer.close()
    assert committed.offset == 40


def test_positions_come_from_the_tables_and_not_from_kafka(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1)
    rig.produce(40)
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": rig.settings.writer_name},
        logger=LIBRDKAFKA_LOGGER,
    )
    consumer.commit(offsets=[TopicPartition(rig.topic, 0, 30)], asynchronous=False)
    consumer.close()
    rig.drain()
    rig.assert_exactly_once()


def test_a_small_buffer_limit_loses_nothing(
    kafka: KafkaForTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake.writer.loop, "POLL_MESSAGES", 50)
    rig = Rig.make(kafka, flush_bytes=2000)
    rig.produce(1500, poison=3)
    assert rig.drain().commits > 5
    rig.assert_exactly_once()


def test_a_slow_store_holds_the_polling_back_and_loses_nothing(
    kafka: KafkaForTest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lake.writer.loop, "POLL_MESSAGES", 50)
    write = lake.writer.sink.Sink.write

    def slow(self: lake.writer.sink.Sink, batch: Batch) -> Flushed:
        wait(lambda: "paused" in caplog.messages, "the writer to pause")
        return write(self, batch)

    monkeypatch.setattr(lake.writer.sink.Sink, "write", slow)
    rig = Rig.make(kafka, partitions=1, flush_bytes=3000, session_seconds=1.0)
    rig.produce(500)
    waiting: list[int] = []
    submit = lake.writer.committer.Committer.submit

    def counted(self: lake.writer.committer.Committer, batch: Batch) -> None:
        submit(self, batch)
        waiting.append(self.waiting_bytes)

    monkeypatch.setattr(lake.writer.committer.Committer, "submit", counted)
    with caplog.at_level("INFO", "lake.writer.loop"):
        rig.drain()
    one_poll = 50 * len(payload("e0000"))
    assert max(waiting) <= 2 * 3000 + 2 * one_poll
    rig.assert_exactly_once()


def test_a_missing_topic_is_made_when_asked_for(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka)
    kafka.delete_topic(rig.topic)
    assert rig.drain(create_topics=True).messages == 0
    rig.produce(3)
    rig.drain()
    rig.assert_exactly_once()


def test_the_embedded_broker_gets_its_topics_unasked(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka)
    embedded_kafka.delete_topic(rig.topic)
    assert rig.drain().messages == 0
    rig.produce(3)
    rig.drain()
    rig.assert_exactly_once()


def test_a_writer_that_is_told_to_stop_before_it_began_ends(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka)
    rig.produce(5)
    stop = threading.Event()
    stop.set()
    rig.drain(stop=stop)
    rig.drain()
    rig.assert_exactly_once()


def test_large_messages_are_read(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1)
    document = payload("big").decode().rstrip("}") + ', "text": "' + "x" * 900_000 + '"}'
    kafka.produce(rig.topic, [("big", document)])
    rig.ledger.append("big")
    rig.drain()
    rig.assert_exactly_once()
