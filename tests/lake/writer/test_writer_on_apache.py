"""What only Apache Kafka can do to a writer: groups, zombies, expiry, transactions, compaction."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition

from ingest.errors import TopicError
from ingest.kafka import LIBRDKAFKA_LOGGER
from lake.errors import OffsetGapError
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import TIMEOUT_S, Rig, payload, wait


def delete_records(kafka: KafkaForTest, topic: str, before: int) -> None:
    asked = kafka.admin.delete_records([TopicPartition(topic, 0, before)])
    for future in asked.values():
        future.result(30)


@pytest.fixture
def kafka(apache_kafka: KafkaForTest) -> KafkaForTest:
    return apache_kafka


def test_a_topic_recreated_while_it_is_read_stops_the_writer(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1, assignment="static")
    rig.produce(20)
    with rig.writing() as running:
        rig.wait_for_rows(20)
        kafka.delete_topic(rig.topic)
        kafka.create_topic(rig.topic, 1)
        # more than the old topic had: by offsets alone, the first 20 would pass for known
        rig.produce(60)
        failure = running.wait_for_failure()
    assert isinstance(failure, OffsetGapError | TopicError)
    assert sum(rig.ids().values()) == 20
    rig.drain(accept_gap=True)
    rig.assert_exactly_once()


def test_a_missing_topic_is_named_and_not_made(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka)
    kafka.delete_topic(rig.topic)
    with pytest.raises(TopicError, match=rig.topic) as caught:
        rig.drain()
    assert "--create-topics" in (caught.value.hint or "")
    assert not kafka.admin.list_topics(timeout=10).topics.get(rig.topic)


def test_members_of_a_group_share_the_partitions_and_hand_them_over(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=4, assignment="group")
    with rig.writing() as one:
        rig.produce(400, poison=4)
        rig.wait_for_rows(400)
        with rig.writing() as other:
            one.wait_for_partitions(2)
            other.wait_for_partitions(2)
            rig.produce(400, poison=4)
            rig.wait_for_rows(800)
            assert other.end().rows > 0
        one.wait_for_partitions(4)
        rig.produce(400)
        rig.wait_for_rows(1200)
        assert one.end().fenced == 0
    rig.assert_exactly_once()


def test_the_buffer_of_a_revoked_partition_is_finished_before_it_is_given_up(
    kafka: KafkaForTest,
) -> None:
    rig = Rig.make(kafka, partitions=4, assignment="group", flush_seconds=3600)
    with rig.writing() as one:
        rig.produce(400)
        wait(lambda: bool(one.progress and one.progress[-1].buffered == 400), "the buffer")
        with rig.writing() as other:
            other.wait_for_partitions(2)
            assert sum(rig.ids().values()) == 400
            assert other.end().rows == 0
        assert one.end().rows == 400
    rig.assert_exactly_once()


def test_a_zombie_that_wakes_up_writes_nothing_that_is_no_longer_its_own(
    kafka: KafkaForTest, tmp_path: Path
) -> None:
    # stopped for longer than its session with a full buffer, while another one takes over
    rig = Rig.make(kafka, partitions=2, assignment="group", flush_seconds=3600)
    rig.produce(100)
    environment = {
        "LAKEWARD_SESSION_SECONDS": "6",
        # the first hundred are flushed when all are there; what comes then waits in the buffer
        "LAKEWARD_FLUSH_BYTES": str(sum(len(payload(event_id)) for event_id in rig.ledger)),
    }
    with rig.process(tmp_path / "zombie.log", **environment) as zombie:
        rig.wait_for_rows(100)
        rig.produce(60, poison=2)
        zombie.wait_until_buffered(62)
        zombie.signal(signal.SIGSTOP)
        quick = rig.settings.model_copy(update={"flush_seconds": 0.1})
        with rig.writing(quick) as owner:
            rig.wait_for_rows(160)
            rig.produce(100)
            rig.wait_for_rows(260)
            zombie.signal(signal.SIGCONT)
            wait(
                lambda: bool({"fenced", "partitions_lost"} & {e["event"] for e in zombie.events()}),
                "the zombie to notice",
            )
            rig.produce(100)
            zombie.stop()  # it may be a member again by now, with some of these
            rig.wait_for_rows(360)
            owner.end()
    rig.assert_exactly_once()


def test_a_poll_that_comes_too_late_loses_the_partitions_and_doubles_nothing(
    kafka: KafkaForTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the process lives and its heartbeats go on, but it does not poll in time; another member
    # has its partitions when it comes back with a full buffer
    rig = Rig.make(kafka, partitions=2, assignment="group", session_seconds=6.0, flush_seconds=0.1)
    monkeypatch.setattr("lake.writer.consuming.MAX_POLL_SECONDS", 6.0)
    import lake.writer.loop

    rig.produce(100)
    is_late, others_have_it = threading.Event(), threading.Event()
    take = lake.writer.loop.WriterLoop._take

    def slow_take(self: lake.writer.loop.WriterLoop, polled: list) -> None:  # type: ignore[type-arg]
        take(self, polled)
        buffered = self._standing.progress().buffered
        if self._lake.flush_seconds == 3600 and buffered == 100 and not is_late.is_set():
            is_late.set()
            others_have_it.wait(TIMEOUT_S)

    monkeypatch.setattr(lake.writer.loop.WriterLoop, "_take", slow_take)
    with rig.writing(rig.settings.model_copy(update={"flush_seconds": 3600.0})) as slow:
        wait(is_late.is_set, "the late poll")
        with rig.writing() as quick:
            rig.wait_for_rows(100)
            others_have_it.set()
            slow.wait_for_progress(2)  # it has polled again since
            slow.end()
            rig.produce(50)
            rig.wait_for_rows(150)
            quick.end()
    rig.assert_exactly_once()


def test_a_drain_beside_a_group_waits_for_it_and_ends(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, assignment="group")
    with rig.writing() as running:
        rig.produce(100)
        rig.wait_for_rows(100)
        rig.produce(500, poison=3)
        auto = rig.settings.model_copy(update={"assignment": "auto"})
        assert rig.drain(settings=auto).messages == 0
        assert sum(rig.ids().values()) == 600
        assert running.end().fenced == 0
    rig.assert_exactly_once()


def test_a_drain_beside_a_group_that_is_stuck_reads_the_topics_itself(
    kafka: KafkaForTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lake.writer.service.left_to_others", impatient())
    rig = Rig.make(kafka, assignment="group", flush_seconds=3600)
    with rig.writing() as stuck:
        stuck.wait_for_partitions(2)
        rig.produce(100)
        auto = rig.settings.model_copy(update={"assignment": "auto"})
        assert rig.drain(settings=auto).messages == 100
        stuck.end()
    rig.assert_exactly_once()


def impatient():  # type: ignore[no-untyped-def]
    from functools import partial

    from lake.writer.others import left_to_others

    return partial(left_to_others, patience=1.0)


def test_a_writer_with_a_name_of_its_own_takes_its_partitions_up_at_once(
    kafka: KafkaForTest, tmp_path: Path
) -> None:
    rig = Rig.make(kafka, assignment="group")
    # a session that is longer than the test waits for the second
    environment = {"LAKEWARD_WRITER_INSTANCE": "one", "LAKEWARD_SESSION_SECONDS": "600"}
    rig.produce(50)
    with rig.process(tmp_path / "a.log", **environment) as first:
        rig.wait_for_rows(50)
        first.signal(signal.SIGKILL)
        first.child.wait()
    rig.produce(50)
    with rig.process(tmp_path / "b.log", **environment) as second:
        rig.wait_for_rows(100)
        second.stop()
    rig.assert_exactly_once()


def test_expired_offsets_are_refused_and_then_accepted(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1)
    rig.produce(20)
    rig.drain()
    rig.produce(30)
    delete_records(kafka, rig.topic, 35)
    with pytest.raises(OffsetGapError, match=r"offset 19, and Kafka begins at 35: the 15 offsets"):
        rig.drain()
    assert rig.drain(accept_gap=True).rows == 15
    report = rig.audit()
    assert report.is_clean, report.findings
    assert report.partitions[0].accepted_gap == 15
    assert rig.drain().messages == 0


def test_offsets_that_expire_under_a_running_writer_stop_it(
    kafka: KafkaForTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig.make(kafka, partitions=1, assignment="static")
    rig.produce(10)
    rig.drain()
    rig.produce(30)
    # Kafka loses them between the moment the writer asked where to begin and its first fetch
    from lake.writer.start import StartingPoints

    find = StartingPoints.find

    def find_and_lose(self: StartingPoints, offered):  # type: ignore[no-untyped-def]
        starts = find(self, offered)
        delete_records(kafka, rig.topic, 25)
        return starts

    with monkeypatch.context() as patch:
        patch.setattr(StartingPoints, "find", find_and_lose)
        with rig.writing() as running:
            failure = running.wait_for_failure()
    assert isinstance(failure, OffsetGapError)
    assert "offset 9, and Kafka begins at 25" in failure.message
    assert rig.drain(accept_gap=True).rows == 15
    assert rig.audit().is_clean


def transactional(kafka: KafkaForTest) -> Producer:
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": kafka.unique("tx")},
        logger=LIBRDKAFKA_LOGGER,
    )
    producer.init_transactions(30)
    return producer


def in_transaction(rig: Rig, producer: Producer, count: int, *, commits: bool) -> None:
    producer.begin_transaction()
    for n in range(count):
        event_id = f"tx-{len(rig.ledger)}" if commits else f"aborted-{n}"
        producer.produce(rig.topic, payload(event_id), partition=0)
        if commits:
            rig.ledger.append(event_id)
    producer.flush(30)
    if commits:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def test_markers_and_aborted_transactions_are_neither_rows_nor_losses(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1)
    producer = transactional(kafka)
    in_transaction(rig, producer, 10, commits=True)
    in_transaction(rig, producer, 5, commits=False)
    in_transaction(rig, producer, 3, commits=True)
    in_transaction(rig, producer, 4, commits=False)
    rig.drain()
    rig.assert_exactly_once()
    (partition,) = rig.audit().partitions
    # 13 messages, 9 aborted ones, 4 markers: offsets 0 to 25, all of them settled
    assert (partition.stored, partition.messages, partition.not_carried) == (25, 13, 13)


def test_a_tail_of_markers_alone_is_settled_by_an_always_on_writer(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1, assignment="static")
    producer = transactional(kafka)
    with rig.writing() as running:
        in_transaction(rig, producer, 10, commits=True)
        rig.wait_for_rows(10)
        in_transaction(rig, producer, 6, commits=False)
        wait(lambda: rig.audit().partitions[0].stored == 17, "the markers to be settled")
        running.end()
    rig.assert_exactly_once()


def test_an_open_transaction_is_waited_for_and_not_skipped(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1)
    producer = transactional(kafka)
    rig.produce(5, partition=0)
    producer.begin_transaction()
    producer.produce(rig.topic, payload("open"), partition=0)
    producer.flush(30)
    rig.produce(5, partition=0)
    assert rig.drain().messages == 5
    producer.commit_transaction(30)
    rig.ledger.append("open")
    assert rig.drain().messages == 6
    rig.assert_exactly_once()


def test_messages_that_compaction_removed_are_no_loss(kafka: KafkaForTest, tmp_path: Path) -> None:
    rig = Rig.make(kafka, partitions=1)
    kafka.delete_topic(rig.topic)
    kafka.create_topic(
        rig.topic,
        1,
        cleanup_policy="compact",
        segment_ms="100",
        min_cleanable_dirty_ratio="0.01",
        max_compaction_lag_ms="100",
    )
    for round_ in range(3):
        kafka.produce(rig.topic, [(f"k{n}", payload(f"r{round_}-{n}")) for n in range(200)])
        time.sleep(0.2)
    deadline = time.monotonic() + TIMEOUT_S
    while True:  # a lake of its own for each look, since a drained one would read no more
        rig.settings = rig.settings.model_copy(
            update={"lake_root": str(tmp_path / f"lake-{time.monotonic()}")}
        )
        if rig.drain().messages < 500:
            break
        assert time.monotonic() < deadline, "Kafka compacted nothing in minutes"
        kafka.produce(rig.topic, [("k0", payload("more"))])
        time.sleep(1)
    report = rig.audit()
    assert report.is_clean, report.findings
    (partition,) = report.partitions
    assert partition.not_carried > 0
    assert partition.messages + partition.not_carried == (partition.stored or 0) + 1
    assert partition.rows == partition.messages
