"""The status says how far everything is, from the tables and Kafka alone, and what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.settings import IngestSettings
from lake.settings import LakeSettings
from lake.status import Status, status
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig, wait
from tests.object_stores.seaweed import SeaweedFs


def look(
    rig: Rig, *, ingest: IngestSettings | None = None, settings: LakeSettings | None = None
) -> Status:
    return status(
        ingest or rig.kafka.settings,
        settings or rig.settings,
        [rig.contract],
        datetime.now(UTC),
    )


def told(found: Status) -> list[str]:
    return [problem.what for problem in found.problems]


def test_a_lake_that_has_caught_up(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka)
    rig.produce(30, partition=0, poison=3)
    rig.produce(20, partition=1)
    rig.drain()
    found = look(rig)
    assert found.problems == ()
    assert [(p.stored, p.end, p.lag, p.oldest_waiting) for p in found.partitions] == [
        (32, 33, 0, None),
        (19, 20, 0, None),
    ]
    (table,) = found.tables
    assert (table.facts.rows, table.dead, table.writer) == (
        50,
        {"not_json": 3},
        rig.settings.writer_name,
    )
    assert table.facts.version == rig.lake.open("bronze", "visits").version()
    assert table.committed_at is not None
    assert timedelta(0) <= found.at - table.committed_at < timedelta(hours=1)
    assert (found.lag, found.writers, found.not_begun) == (0, 0, ())


def test_messages_that_wait_with_their_age_and_nobody_to_take_them(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka)
    rig.produce(5, partition=0)
    rig.drain()
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    rig.produce(4, partition=0)
    rig.produce(2, partition=1)
    after = datetime.now(UTC)
    found = look(rig)
    assert [(p.stored, p.end, p.lag) for p in found.partitions] == [(4, 9, 4), (None, 2, 2)]
    for part in found.partitions:
        assert part.oldest_waiting is not None
        assert before - timedelta(seconds=1) <= part.oldest_waiting <= after
    assert told(found) == ["6 messages wait, and no writer is at work"]


def test_a_lake_where_nothing_was_written_yet(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka, partitions=1)
    found = look(rig)
    assert (found.problems, found.tables, found.not_begun, found.lag) == ((), (), ("visits",), 0)
    rig.produce(3)
    found = look(rig)
    assert [(p.stored, p.end, p.lag) for p in found.partitions] == [(None, 3, 3)]
    assert told(found) == ["3 messages wait, and no writer is at work"]


def test_a_writer_at_work_is_seen(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka)
    with rig.writing() as writer:
        writer.wait_for_partitions(2)
        wait(lambda: look(rig).writers == 1, "the writer to be seen")
        assert look(rig).is_counted == (kafka.kind == "apache")
        rig.produce(10)
        rig.wait_for_rows(10)
        wait(lambda: look(rig).lag == 0, "the lag to go")
        assert look(rig).problems == ()
        writer.end()
    wait(lambda: look(rig).writers == 0, "the writer to go")


def test_without_kafka_the_tables_are_shown_and_it_says_what_to_do(
    embedded_kafka: KafkaForTest,
) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    rig.produce(5, poison=1)
    rig.drain()
    nowhere = IngestSettings(
        _env_file=None, home=embedded_kafka.settings.home, bootstrap_servers="127.0.0.1:1"
    )
    found = look(rig, ingest=nowhere)
    assert [(p.stored, p.end, p.lag) for p in found.partitions] == [(5, None, None)]
    assert (found.lag, found.writers) == (None, None)
    assert found.tables[0].facts.rows == 5
    (problem,) = found.problems
    assert "127.0.0.1:1" in problem.what
    assert problem.hint


def test_a_table_that_cannot_be_read_is_told_and_the_rest_is_shown(
    embedded_kafka: KafkaForTest,
) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    rig.produce(5)
    rig.drain()
    log = Path(rig.lake.uri("bronze", "visits")) / "_delta_log"
    for file in log.iterdir():
        if file.suffix == ".json":
            file.write_text("{broken")
    found = look(rig)
    assert found.tables == ()
    assert len(found.problems) == 1
    assert found.problems[0].what.startswith(f"bronze.visits at {rig.settings.root} cannot be read")


def test_an_object_store_that_is_away_is_told_and_kafka_is_shown(
    embedded_kafka: KafkaForTest, object_store: SeaweedFs
) -> None:
    rig = Rig.make(embedded_kafka, partitions=1, lake_root=object_store.root)
    rig.produce(5)
    rig.drain()
    assert [(p.stored, p.lag) for p in look(rig).partitions] == [(4, 0)]
    object_store.kill()
    found = look(rig)
    assert [(p.stored, p.end, p.lag) for p in found.partitions] == [(None, 5, None)]
    assert (found.lag, found.not_begun) == (None, ())
    (problem,) = found.problems
    assert problem.what.startswith(f"ops.journal at {object_store.root} cannot be read")


def test_another_writers_table_is_told(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    rig.produce(5)
    rig.drain()
    other = rig.settings.model_copy(update={"writer_name": "other"})
    found = look(rig, settings=other)
    assert [(p.stored, p.lag) for p in found.partitions] == [(4, 0)]
    assert told(found) == [
        f"bronze.visits is filled by the writer {rig.settings.writer_name!r}, and this one is "
        "called 'other'"
    ]


def test_expired_offsets_are_told_until_somebody_accepts_the_gap(
    apache_kafka: KafkaForTest,
) -> None:
    from confluent_kafka import TopicPartition

    rig = Rig.make(apache_kafka, partitions=1)
    rig.produce(5, partition=0)
    rig.drain()
    rig.produce(10, partition=0)
    low = [TopicPartition(rig.topic, 0, 12)]
    for future in apache_kafka.admin.delete_records(low).values():
        future.result(30)
    found = look(rig)
    assert [(p.stored, p.end, p.lag) for p in found.partitions] == [(4, 15, 3)]
    assert (
        f"{rig.topic}[0]: the lake ends at offset 4, and Kafka begins at 12: the 7 offsets in "
        "between have expired"
    ) in told(found)
    rig.drain(accept_gap=True)
    found = look(rig)
    assert found.problems == ()
    assert [(gap.first_offset, gap.last_offset) for gap in found.gaps] == [(5, 11)]


@pytest.mark.parametrize("is_accepted", [False, True])
def test_a_topic_that_was_made_again_is_told_until_it_is_accepted(
    apache_kafka: KafkaForTest, is_accepted: bool
) -> None:
    rig = Rig.make(apache_kafka, partitions=1)
    rig.produce(5, partition=0)
    rig.drain()
    apache_kafka.delete_topic(rig.topic)
    found = look(rig)
    assert [(p.stored, p.end, p.lag) for p in found.partitions] == [(4, None, None)]
    assert told(found) == [f"Kafka has no topic {rig.topic}, from which the lake was filled"]
    apache_kafka.create_topic(rig.topic, 1)
    rig.produce(3, partition=0)
    if is_accepted:
        rig.drain(accept_gap=True)
        found = look(rig)
        assert found.problems == ()
        assert [(p.stored, p.end, p.lag) for p in found.partitions] == [(2, 3, 0)]
    else:
        found = look(rig)
        assert [(p.end, p.lag) for p in found.partitions] == [(3, 3)]
        assert told(found)[0] == (
            f"{rig.topic}[0]: the topic was deleted and made again: the lake holds the old one up "
            "to offset 4"
        )


def test_transaction_markers_are_no_lag(apache_kafka: KafkaForTest) -> None:
    from confluent_kafka import Producer

    from ingest.kafka import client_config

    rig = Rig.make(apache_kafka, partitions=1)
    producer = Producer(
        {**client_config(apache_kafka.settings), "transactional.id": rig.topic, "linger.ms": 0}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    rig.produce(0)
    producer.produce(rig.topic, b"{broken", partition=0)
    producer.flush(30)
    producer.commit_transaction(30)
    rig.drain()
    found = look(rig)
    assert [(p.stored, p.end, p.lag) for p in found.partitions] == [(1, 2, 0)]


def test_old_dead_letters_are_not_counted(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    rig.produce(1, poison=2)
    rig.drain(now=lambda: datetime.now(UTC) - timedelta(hours=30))
    rig.produce(1, poison=1)
    rig.drain()
    assert look(rig).tables[0].dead == {"not_json": 1}
