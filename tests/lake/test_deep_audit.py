"""The deep audit finds content that is not what Kafka delivered, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake

from ingest.contracts.model import Contract, Field
from ingest.settings import IngestSettings
from lake.deep_audit import DeepReport, deep_audit
from lake.deep_compare import Difference
from lake.errors import MissingTableError
from lake.reread import Reread
from lake.tables import DEAD_LETTERS
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig

RICH = (
    Field("amount", "amount", "decimal", precision=20, scale=4),
    Field("ratio", "ratio", "number"),
    Field("count", "count", "integer"),
    Field("is_new", "is_new", "boolean"),
    Field("day", "day", "date"),
    Field("tags", "tags", "map"),
    Field("properties", "properties", "json"),
)


def rich(contract: Contract) -> Contract:
    """The rig's contract with a column of every kind."""
    return replace(contract, fields=(*contract.fields, *RICH))


def event(n: int, **more: Any) -> bytes:
    document = {"event_id": f"e{n}", "tenant_id": "acme", "at": "2026-01-01T00:00:00.123456Z"}
    return json.dumps({**document, **more}).encode()


def full(n: int) -> bytes:
    """An event with every column filled and a member that is none."""
    return event(
        n,
        amount=f"{n}.25",
        ratio=n / 7,
        count=n,
        is_new=n % 2 == 0,
        day="2026-02-03",
        tags={"a": "\u00e9", "b": None},
        properties={"deep": [1, {"x": "y"}]},
        unknown=[n, "\U0001f600"],
    )


def deep(rig: Rig, *contracts: Contract, **options: Any) -> DeepReport:
    return deep_audit(rig.kafka.settings, rig.lake, contracts or [rig.contract], **options)


def alter(rig: Rig, table: str, offset: int, partition: int = 0, **values: Any) -> None:
    """Change columns of one stored row, as a hand or a fault of the store might."""
    opened = rig.lake.open("bronze", table)
    where = f"_partition = {partition} and _offset = {offset}"
    schema = pa.schema(opened.schema().to_arrow())
    rows = pa.table(opened.scan(predicate=where).read_all()).cast(schema)
    assert rows.num_rows == 1
    for name, value in values.items():
        at = rows.column_names.index(name)
        rows = rows.set_column(at, schema.field(name), pa.array([value], schema.field(name).type))
    opened.delete(where)
    write_deltalake(rig.lake.open("bronze", table), rows, mode="append")


def shown(report: DeepReport) -> list[tuple[str, int, int, tuple[str, ...]]]:
    return [
        (d.table, d.source.partition, d.offset, d.columns)
        for part in report.partitions
        for d in part.found.differences
    ]


@pytest.fixture
def rig(kafka: KafkaForTest) -> Rig:
    """Two partitions: 30 events each, every third of them poison."""
    made = Rig.make(kafka)
    for partition in (0, 1):
        made.produce(20, partition=partition)
        headers = [("trace", b"\x00\xff"), ("empty", None)]
        messages = [("k", b"{broken %d" % n, headers, partition) for n in range(10)]
        made.kafka.produce(made.topic, messages)
    made.drain(force=True)
    return made


def test_a_lake_that_holds_what_kafka_delivered_is_clean(rig: Rig) -> None:
    heard: list[tuple[int, int]] = []
    report = deep(rig, on_progress=lambda done, total: heard.append((done, total)))
    assert report.is_clean
    assert [
        (p.source.partition, p.first, p.stored, p.found.compared, p.found.equal)
        for p in report.partitions
    ] == [(0, 0, 29, 30, 30), (1, 0, 29, 30, 30)]
    assert report.total.gone == 0
    assert heard[-1] == (60, 60)
    assert heard == sorted(heard)


def test_a_row_that_was_altered_is_named_with_its_columns(rig: Rig) -> None:
    alter(rig, "visits", 7, 1, tenant_id="other")
    report = deep(rig)
    assert not report.is_clean
    assert (report.different, report.missing, report.total.equal) == (1, 0, 59)
    assert shown(report) == [("visits", 1, 7, ("tenant_id",))]
    assert report.partitions[1].found.differences[0].what == "differs in tenant_id"


def test_a_row_that_is_gone_is_missing(rig: Rig) -> None:
    rig.lake.open("bronze", "visits").delete("_partition = 0 and _offset = 3")
    report = deep(rig)
    assert (report.different, report.missing, report.total.compared) == (0, 1, 59)
    assert report.partitions[0].found.missing_offsets == [3]
    assert not report.is_clean


@pytest.mark.parametrize(
    ("column", "value"), [("payload", b"{Broken 2"), ("key", None), ("headers", None)]
)
def test_a_dead_letter_that_was_altered_is_named(
    apache_kafka: KafkaForTest, column: str, value: Any
) -> None:
    made = Rig.make(apache_kafka, partitions=1)
    messages = [("k", b"{broken", [("trace", b"\x00")], 0)] * 5
    apache_kafka.produce(made.topic, messages)
    made.drain(force=True)
    assert deep(made).is_clean
    alter(made, DEAD_LETTERS, 2, **{column: value})
    report = deep(made)
    assert (report.different, report.missing, report.total.equal) == (1, 0, 4)
    assert shown(report) == [(DEAD_LETTERS, 0, 2, (column,))]


def test_a_dead_letter_that_was_altered_is_named_on_both_brokers(rig: Rig) -> None:
    alter(rig, DEAD_LETTERS, 25, 1, payload=b"other bytes")
    assert shown(deep(rig)) == [(DEAD_LETTERS, 1, 25, ("payload",))]


@pytest.fixture
def rich_rig(embedded_kafka: KafkaForTest) -> tuple[Rig, Contract]:
    """Ten events with a column of every kind."""
    made = Rig.make(embedded_kafka, partitions=1)
    contract = rich(made.contract)
    embedded_kafka.produce(made.topic, [("k", full(n), None, 0) for n in range(10)])
    made.drain(contracts=[contract])
    return made, contract


def test_columns_of_every_kind_are_equal_after_their_way_through_the_table(
    rich_rig: tuple[Rig, Contract],
) -> None:
    rig, contract = rich_rig
    report = deep(rig, contract)
    assert (report.total.equal, report.different) == (10, 0)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("event_id", lambda v: v + " "),
        ("occurred_at", lambda v: v + timedelta(microseconds=1)),
        ("amount", lambda v: v + 1),
        ("ratio", lambda v: v * (1 + 2**-52)),
        ("ratio", lambda _: None),
        ("count", lambda v: v + 1),
        ("is_new", lambda v: not v),
        ("day", lambda v: v + timedelta(days=1)),
        ("tags", lambda _: [("a", "e"), ("b", None)]),
        ("tags", lambda _: [("a", "\u00e9"), ("b", "")]),
        ("properties", lambda v: v.replace("y", "z")),
        ("_rescued", lambda _: None),
        ("_appended_at", lambda v: v + timedelta(milliseconds=1)),
    ],
)
def test_the_least_change_of_any_column_is_found(
    rich_rig: tuple[Rig, Contract], column: str, change: Callable[[Any], Any]
) -> None:
    rig, contract = rich_rig
    rows = rig.lake.open("bronze", "visits").to_pyarrow_table()
    before = rows.filter(pc.equal(rows["_offset"], 4))[column][0].as_py()
    alter(rig, "visits", 4, **{column: change(before)})
    report = deep(rig, contract)
    assert shown(report) == [("visits", 0, 4, (column,))]


def test_small_chunks_come_to_the_same(rig: Rig) -> None:
    alter(rig, "visits", 7, 1, tenant_id="other")
    rig.lake.open("bronze", "visits").delete("_partition = 0 and _offset = 3")

    def small(settings: IngestSettings) -> Reread:
        return Reread(settings, chunk_messages=4)

    whole, parts = deep(rig), deep(rig, reread=small)
    assert parts == whole


def test_a_row_that_is_there_twice_differs(rig: Rig) -> None:
    opened = rig.lake.open("bronze", "visits")
    rows = pa.table(opened.scan(predicate="_partition = 0 and _offset = 5").read_all())
    write_deltalake(opened, rows.cast(pa.schema(opened.schema().to_arrow())), mode="append")
    report = deep(rig)
    assert (report.different, report.total.equal) == (1, 59)
    assert report.partitions[0].found.differences[0].what == "is in the lake more than once"


def test_messages_that_expired_are_told_as_not_comparable(apache_kafka: KafkaForTest) -> None:
    from confluent_kafka import TopicPartition

    rig = Rig.make(apache_kafka, partitions=1)
    rig.produce(20, partition=0, poison=4)
    rig.drain(force=True)
    low = {TopicPartition(rig.topic, 0, 10): None}
    for future in apache_kafka.admin.delete_records(list(low)).values():
        future.result(30)
    report = deep(rig)
    assert report.is_clean
    part = report.partitions[0]
    assert (part.first, part.found.compared, part.found.gone) == (10, 14, 10)
    rig.produce(1, partition=0)
    for future in apache_kafka.admin.delete_records([TopicPartition(rig.topic, 0, 25)]).values():
        future.result(30)
    (part,) = deep(rig).partitions
    assert (part.first, part.found.compared, part.found.gone) == (25, 0, 24)


def test_a_topic_that_was_deleted_or_made_again_is_told_as_not_comparable(
    apache_kafka: KafkaForTest,
) -> None:
    rig = Rig.make(apache_kafka, partitions=1)
    rig.produce(5)
    rig.drain()
    apache_kafka.delete_topic(rig.topic)
    (part,) = deep(rig).partitions
    assert (part.why_not, part.first, part.found.gone) == (
        "Kafka has no such topic any more",
        None,
        5,
    )
    apache_kafka.create_topic(rig.topic, 1)
    rig.produce(3)
    (part,) = deep(rig).partitions
    assert (part.why_not, part.found.gone) == ("the topic was made again since", 5)
    rig.drain(accept_gap=True)
    before, after = sorted(deep(rig).partitions, key=lambda p: p.why_not is None)
    assert (before.why_not, before.found.gone) == ("the topic was made again since", 5)
    assert (after.why_not, after.found.equal) == (None, 3)


def test_transaction_markers_and_aborted_messages_are_no_difference(
    apache_kafka: KafkaForTest,
) -> None:
    from confluent_kafka import Producer

    from ingest.kafka import client_config

    rig = Rig.make(apache_kafka, partitions=1)
    producer = Producer(
        {**client_config(apache_kafka.settings), "transactional.id": rig.topic, "linger.ms": 0}
    )
    producer.init_transactions(30)
    for n, commit in enumerate((True, False, True)):
        producer.begin_transaction()
        producer.produce(rig.topic, event(n), partition=0)
        producer.flush(30)
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)
    rig.drain()
    report = deep(rig)
    assert report.is_clean
    assert (report.total.equal, report.total.gone) == (2, 0)


# -- rules that changed


def test_rows_of_an_older_contract_are_compared_by_what_it_had(
    embedded_kafka: KafkaForTest,
) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    first = rig.contract
    messages = [full(0), event(1), event(2, amount=None), event(3, amount="none", ratio=1.5)]
    embedded_kafka.produce(rig.topic, [("k", m, None, 0) for m in messages])
    rig.drain(contracts=[first])
    wider = replace(rich(first), version="1.1.0")
    embedded_kafka.produce(rig.topic, [("k", full(4), None, 0)])
    rig.drain(contracts=[wider])
    report = deep(rig, wider)
    assert report.is_clean, shown(report)
    assert (report.total.equal, dict(report.total.older)) == (5, {"1.0.0": 4})
    alter(rig, "visits", 1, event_id="other")
    assert shown(deep(rig, wider)) == [("visits", 0, 1, ("event_id",))]
    alter(rig, "visits", 0, _rescued='{"amount":"9"}')
    report = deep(rig, wider)
    assert [(d.offset, d.version) for d in report.partitions[0].found.differences] == [
        (0, "1.0.0"),
        (1, "1.0.0"),
    ]


def test_rows_of_a_newer_contract_are_not_called_equal(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    newer = replace(rich(rig.contract), version="1.10.0")
    embedded_kafka.produce(rig.topic, [("k", full(n), None, 0) for n in range(3)])
    rig.drain(contracts=[newer])
    report = deep(rig, replace(rig.contract, version="1.9.0"))
    assert report.is_clean
    assert (report.total.compared, dict(report.total.newer)) == (0, {"1.10.0": 3})


def test_other_tenants_now_than_then_make_no_difference(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    messages = [event(0), event(1, tenant_id="stranger"), b"{broken"]
    embedded_kafka.produce(rig.topic, [("k", m, None, 0) for m in messages])
    known = rig.settings.model_copy(update={"tenants": "acme"})
    rig.drain(settings=known)
    assert rig.dead() == 2
    report = deep(rig)
    assert (report.is_clean, report.total.equal) == (True, 3)


def test_a_message_that_went_the_wrong_way_differs(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    stricter = replace(
        rig.contract, fields=(*rig.contract.fields, Field("why", "why", "string", required=True))
    )
    embedded_kafka.produce(rig.topic, [("k", event(0, why="x"), None, 0), ("k", event(1), None, 0)])
    rig.drain(contracts=[stricter])
    assert deep(rig, stricter).is_clean
    report = deep(rig, replace(rig.contract, description="the same version, other rules"))
    told = [d.what for part in report.partitions for d in part.found.differences]
    assert told == [
        "differs in _rescued",
        "is a dead letter (missing_required), and its message is a row",
    ]


def test_an_altered_reason_differs(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    embedded_kafka.produce(rig.topic, [("k", b"{broken", None, 0)])
    rig.drain()
    alter(rig, DEAD_LETTERS, 0, reason="tombstone")
    (difference,) = deep(rig).partitions[0].found.differences
    assert difference == Difference(
        DEAD_LETTERS,
        difference.source,
        0,
        "1.0.0",
        (),
        "is a dead letter (tombstone), and its message is one for another reason (not_json)",
    )


def test_an_empty_lake_has_nothing_to_compare(kafka: KafkaForTest, tmp_path: Path) -> None:
    rig = Rig.make(kafka, partitions=1)
    with pytest.raises(MissingTableError, match="nothing to compare"):
        deep(rig)


def test_one_topic_alone_is_compared_when_asked(rig: Rig) -> None:
    assert len(deep(rig, topic=rig.topic).partitions) == 2
    with pytest.raises(MissingTableError, match="from the topic elsewhere"):
        deep(rig, topic="elsewhere")


def test_a_table_without_its_contract_is_told_as_not_comparable(rig: Rig) -> None:
    report = deep(rig, replace(rig.contract, name="others"))
    assert {p.why_not for p in report.partitions} == {"no contract is called visits"}
    assert report.total.compared == 0
