"""The audit finds what is lost and what is there twice, and nothing else."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from lake.audit import AuditReport, FindingKind, audit
from lake.errors import MissingTableError
from lake.tables import DEAD_LETTERS, Lake, Layer
from tests.lake.writer.bench import P0, P1, Bench, batch, poison, visit


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Two partitions of 20 messages each, every fourth of them poison, in two commits."""
    made = Bench.at(tmp_path_factory.mktemp("audit"))
    sink = made.sink()
    made.take_over(sink, P0, P1)

    def some(source, first):  # type: ignore[no-untyped-def]
        return [(poison if o % 4 == 3 else visit)(source, o) for o in range(first, first + 10)]

    sink.write(batch((P0, None, some(P0, 0)), (P1, None, some(P1, 0))))
    sink.write(batch((P0, 9, some(P0, 10)), (P1, 9, some(P1, 10))))
    return made


def found(report: AuditReport) -> list[tuple[FindingKind, int, int, tuple[int, ...]]]:
    return [(f.kind, f.source.partition, f.count, f.offsets) for f in report.findings]


def append_again(bench: Bench, table: str, predicate: str) -> None:
    """Append rows as the writer left them once more."""
    written = bench.lake.open("bronze", table, version=3)
    rows = pa.table(written.scan(predicate=predicate).read_all())
    schema = pa.schema(bench.lake.open("bronze", table).schema().to_arrow())
    write_deltalake(bench.lake.open("bronze", table), rows.cast(schema), mode="append")


def test_a_whole_lake_is_clean(bench: Bench) -> None:
    report = bench.audit()
    assert report.is_clean
    assert [
        (p.source, p.first, p.stored, p.messages, p.rows, p.dead) for p in report.partitions
    ] == [
        (P0, 0, 19, 20, 15, 5),
        (P1, 0, 19, 20, 15, 5),
    ]


def test_a_row_that_was_deleted_is_lost(bench: Bench) -> None:
    bench.lake.open("bronze", "visits").delete("_partition = 1 and _offset = 14")
    assert found(bench.audit()) == [("lost", 1, 1, (14,))]


def test_a_dead_letter_that_was_deleted_is_lost(bench: Bench) -> None:
    bench.lake.open("bronze", DEAD_LETTERS).delete("_partition = 0 and _offset = 3")
    assert found(bench.audit()) == [("lost", 0, 1, (3,))]


def test_everything_deleted_is_lost(bench: Bench) -> None:
    bench.lake.open("bronze", "visits").delete()
    report = bench.audit()
    assert report.count("lost") == 30
    assert {kind for kind, *_ in found(report)} == {"lost"}


def test_a_row_that_was_appended_again_is_doubled(bench: Bench) -> None:
    append_again(bench, "visits", "_partition = 0 and _offset in (5, 6)")
    append_again(bench, "visits", "_partition = 0 and _offset = 5")
    assert found(bench.audit()) == [("doubled", 0, 3, (5, 6))]


def test_a_dead_letter_that_was_appended_again_is_doubled(bench: Bench) -> None:
    append_again(bench, DEAD_LETTERS, "_partition = 1 and _offset = 7")
    assert found(bench.audit()) == [("doubled", 1, 1, (7,))]


def test_a_message_in_bronze_and_in_the_dead_letters_is_doubled(bench: Bench) -> None:
    table = bench.lake.open("bronze", DEAD_LETTERS)
    schema = pa.schema(table.schema().to_arrow())
    row = pa.table(table.scan(predicate="_partition = 0 and _offset = 3").read_all()).cast(schema)
    row = row.set_column(row.column_names.index("_offset"), "_offset", pa.array([4], pa.int64()))
    write_deltalake(table, row, mode="append")
    assert found(bench.audit()) == [("doubled", 0, 1, (4,))]


def test_a_loss_and_a_double_in_one_range_do_not_cancel_out(bench: Bench) -> None:
    append_again(bench, "visits", "_partition = 0 and _offset = 5")
    bench.lake.open("bronze", "visits").delete("_partition = 0 and _offset = 6")
    assert sorted(found(bench.audit())) == [("doubled", 0, 1, (5,)), ("lost", 0, 1, (6,))]


def test_doubles_are_counted_exactly_and_named_in_part(bench: Bench) -> None:
    for _ in range(20):
        append_again(bench, "visits", "_partition = 0")
    (finding,) = bench.audit().findings
    assert finding.count == 300
    assert len(finding.offsets) == 10


def test_a_row_beyond_the_stored_offset_is_unexpected(bench: Bench) -> None:
    table = bench.lake.open("bronze", "visits")
    schema = pa.schema(table.schema().to_arrow())
    row = pa.table(table.scan(predicate="_partition = 0 and _offset = 4").read_all()).cast(schema)
    row = row.set_column(row.column_names.index("_offset"), "_offset", pc.add(row["_offset"], 96))
    write_deltalake(table, row, mode="append")
    assert found(bench.audit()) == [("unexpected", 0, 1, (100,))]


def test_rows_of_a_topic_that_no_commit_recorded_are_unexpected(bench: Bench) -> None:
    table = bench.lake.open("bronze", "visits")
    schema = pa.schema(table.schema().to_arrow())
    rows = pa.table(table.scan(predicate="_partition = 0").read_all()).cast(schema)
    strange = pa.array(["id-of-nobody"] * rows.num_rows, pa.string())
    rows = rows.set_column(rows.column_names.index("_topic_id"), "_topic_id", strange)
    write_deltalake(table, rows, mode="append")
    (finding,) = bench.audit().findings
    assert (finding.kind, finding.count) == ("unexpected", 15)


def record(first: int, last: int, messages: int = 0) -> dict[str, str]:
    part = {
        "topic": P0.topic,
        "topic_id": P0.topic_id,
        "partition": 0,
        "first": first,
        "last": last,
        "messages": messages,
        "rows": messages,
        "dead": 0,
    }
    return {"lakeward": json.dumps({"writer": "lakeward", "partitions": [part]})}


def commit_by_hand(bench: Bench, record: dict[str, str], stored: int | None) -> None:
    table = bench.lake.open("bronze", "visits")
    schema = pa.schema(table.schema().to_arrow())
    app_id = P0.app_id("lakeward", "visits")
    marks = [] if stored is None else [Transaction(app_id, stored)]
    write_deltalake(
        table,
        schema.empty_table(),
        mode="append",
        commit_properties=CommitProperties(custom_metadata=record, app_transactions=marks),
    )


def test_offsets_that_no_commit_recorded_are_a_gap(bench: Bench) -> None:
    commit_by_hand(bench, record(25, 29), 29)
    assert found(bench.audit()) == [("gap", 0, 5, (20,))]


def test_offsets_that_two_commits_recorded_overlap(bench: Bench) -> None:
    commit_by_hand(bench, record(15, 24), 24)
    assert ("overlap", 0, 5, (15,)) in found(bench.audit())


def test_recorded_messages_that_are_nowhere_are_lost(bench: Bench) -> None:
    commit_by_hand(bench, record(20, 29, messages=4), 29)
    ((kind, _, count, _),) = found(bench.audit())
    assert (kind, count) == ("lost", 4)


def test_offsets_that_carried_no_message_are_no_loss(bench: Bench) -> None:
    commit_by_hand(bench, record(20, 29, messages=0), 29)
    report = bench.audit()
    assert report.is_clean
    assert report.partitions[0].not_carried == 10


def test_a_stored_offset_that_no_commit_explains_is_told(bench: Bench) -> None:
    commit_by_hand(bench, {}, 29)
    assert [kind for kind, *_ in found(bench.audit())] == ["position"]


def test_only_the_topic_asked_for_is_shown(bench: Bench) -> None:
    from lake.audit import audit

    assert len(audit(bench.lake, topic="visits").partitions) == 2
    with pytest.raises(MissingTableError, match="nothing was written from the topic other"):
        audit(bench.lake, topic="other")


def test_an_empty_lake_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(MissingTableError, match="no bronze table"):
        Bench.at(tmp_path_factory.mktemp("empty")).audit()


def test_a_commit_that_comes_while_the_audit_looks_is_no_finding(bench: Bench) -> None:
    class OpenedBeforeTheLastCommit(Lake):
        def open(self, layer: Layer, name: str, version: int | None = None) -> DeltaTable:
            table = Lake.open(self, layer, name, version)
            if name == "visits":
                table.load_as_version(table.version() - 1)
            return table

    report = audit(OpenedBeforeTheLastCommit(bench.lake.root))
    assert report.findings == ()
    assert [(p.source, p.stored, p.rows, p.ahead) for p in report.partitions] == [
        (P0, 9, 8, 3),
        (P1, 9, 8, 3),
    ]
