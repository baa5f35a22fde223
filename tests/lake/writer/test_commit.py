"""Rows and their offsets reach a table together, once, whoever else writes there."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

import lake.writer.commit
from lake.errors import CommitError
from lake.writer.commit import BACKOFF_SECONDS, Mark, Span, TransactionalTable
from lake.writer.source import Source
from tests.lake.writer.bench import P0, P1, Bench

APP = "lakeward:visits:visits@id-1:0"


def span(source: Source, held: int | None, last: int) -> Span:
    mark = Mark(source.app_id("lakeward", "visits"), held, last)
    return Span(source, (mark,), {"partition": source.partition, "first": 0, "last": last})


def rows(*coordinates: tuple[Source, int]) -> pa.Table:
    return pa.table(
        {
            "event_id": pa.array([f"{s.partition}-{o}" for s, o in coordinates], pa.string()),
            "_topic": pa.array([s.topic for s, _ in coordinates], pa.string()),
            "_topic_id": pa.array([s.topic_id for s, _ in coordinates], pa.string()),
            "_partition": pa.array([s.partition for s, _ in coordinates], pa.int32()),
            "_offset": pa.array([o for _, o in coordinates], pa.int64()),
        }
    )


class FailingWrite:
    """Stands in for write_deltalake: fails a number of times, before or after the commit."""

    def __init__(self, times: int, *, lands: bool, error: Exception | None = None) -> None:
        self.left = times
        self.lands = lands
        self.error = error or CommitFailedError("the answer was lost")
        self.calls = 0

    def __call__(self, table: DeltaTable, *args: Any, **kwargs: Any) -> None:
        self.calls += 1
        if self.left == 0:
            write_deltalake(table, *args, **kwargs)
            return
        self.left -= 1
        if self.lands:
            write_deltalake(DeltaTable(table.table_uri), *args, **kwargs)
        raise self.error


def test_the_same_txn_version_from_a_fresh_handle_is_accepted_by_delta_rs(bench: Bench) -> None:
    # the reason for the rule that check and commit use one object; if this begins to fail,
    # delta-rs has learnt to refuse it and the rule may be relaxed
    uri = bench.table("visits")._opener.uri
    properties = CommitProperties(app_transactions=[Transaction(APP, 7)])
    schema = pa.schema(DeltaTable(uri).schema().to_arrow())
    for _ in range(2):
        write_deltalake(
            DeltaTable(uri), schema.empty_table(), mode="append", commit_properties=properties
        )
    assert DeltaTable(uri).transaction_version(APP) == 7
    assert DeltaTable(uri).version() == 2


def test_offsets_that_a_fresh_handle_finds_stored_are_not_written_again(bench: Bench) -> None:
    bench.table("visits").commit([span(P0, None, 1)], rows((P0, 0), (P0, 1)))
    again = bench.table("visits").commit([span(P0, None, 1)], rows((P0, 0), (P0, 1)))
    assert again.landed == {P0}
    assert again.version is None
    assert bench.offsets() == [(0, 0), (0, 1)]


def test_of_two_handles_on_one_snapshot_only_one_moves_a_partition(bench: Bench) -> None:
    one, other = bench.table("visits"), bench.table("visits")
    assert one.commit([span(P0, None, 1)], rows((P0, 0), (P0, 1))).landed == {P0}
    outcome = other.commit([span(P0, None, 2)], rows((P0, 0), (P0, 1), (P0, 2)))
    assert outcome.landed == frozenset()
    assert outcome.fenced == {P0}
    assert bench.offsets() == [(0, 0), (0, 1)]


def test_another_partition_on_a_stale_handle_is_committed(bench: Bench) -> None:
    one, other = bench.table("visits"), bench.table("visits")
    one.commit([span(P0, None, 0)], rows((P0, 0)))
    assert other.commit([span(P1, None, 0)], rows((P1, 0))).landed == {P1}
    assert bench.offsets() == [(0, 0), (1, 0)]
    assert other.conflicts == 0


def test_a_partition_that_moved_while_others_were_committed_is_fenced(bench: Bench) -> None:
    # the handle moves on over the other writer's commit; what it had read before must not count
    one, other = bench.table("visits"), bench.table("visits")
    assert other.version_of(P0.app_id("lakeward", "visits")) is None
    one.commit([span(P0, None, 5)], rows((P0, 5)))
    other.commit([span(P1, None, 0)], rows((P1, 0)))
    assert other.commit([span(P0, None, 5)], rows((P0, 5))).version is None
    assert bench.offsets() == [(0, 5), (1, 0)]


def test_a_fenced_partition_is_taken_out_and_the_rest_is_written(bench: Bench) -> None:
    one, other = bench.table("visits"), bench.table("visits")
    one.commit([span(P0, None, 0)], rows((P0, 0)))
    outcome = other.commit([span(P0, None, 1), span(P1, None, 0)], rows((P0, 0), (P0, 1), (P1, 0)))
    assert (outcome.landed, outcome.fenced) == ({P1}, {P0})
    assert bench.offsets() == [(0, 0), (1, 0)]


def test_offset_zero_is_a_stored_offset(bench: Bench) -> None:
    bench.table("visits").commit([span(P0, None, 0)], rows((P0, 0)))
    table = bench.table("visits")
    assert table.version_of(P0.app_id("lakeward", "visits")) == 0
    assert table.commit([span(P0, None, 1)], rows((P0, 0), (P0, 1))).fenced == {P0}
    assert table.commit([span(P0, 0, 1)], rows((P0, 1))).landed == {P0}
    assert bench.offsets() == [(0, 0), (0, 1)]


def test_a_commit_that_landed_but_lost_its_answer_is_not_repeated(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = bench.table("visits")
    failing = FailingWrite(1, lands=True)
    monkeypatch.setattr(lake.writer.commit, "write_deltalake", failing)
    assert table.commit([span(P0, None, 1)], rows((P0, 0), (P0, 1))).landed == {P0}
    assert failing.calls == 1
    assert bench.offsets() == [(0, 0), (0, 1)]


@pytest.mark.parametrize("error", [OSError("timed out"), CommitFailedError("conflict")])
def test_a_commit_that_did_not_land_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    table = bench.table("visits")
    failing = FailingWrite(3, lands=False, error=error)
    monkeypatch.setattr(lake.writer.commit, "write_deltalake", failing)
    assert table.commit([span(P0, None, 1)], rows((P0, 0), (P0, 1))).landed == {P0}
    assert bench.offsets() == [(0, 0), (0, 1)]


def test_a_first_try_that_lands_during_the_second_is_not_doubled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = bench.table("visits")
    late: list[Any] = []

    def write(handle: DeltaTable, *args: Any, **kwargs: Any) -> None:
        if not late:
            late.append((args, kwargs))
            raise OSError("timed out; the request is still on its way")
        if len(late) == 1:
            late.append("arrived")
            write_deltalake(DeltaTable(handle.table_uri), *late[0][0], **late[0][1])
        write_deltalake(handle, *args, **kwargs)

    monkeypatch.setattr(lake.writer.commit, "write_deltalake", write)
    assert table.commit([span(P0, None, 1)], rows((P0, 0), (P0, 1))).landed == {P0}
    assert bench.offsets() == [(0, 0), (0, 1)]


def test_a_store_that_stays_away_ends_in_one_clear_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = bench.table("visits")
    monkeypatch.setattr(
        lake.writer.commit, "write_deltalake", FailingWrite(99, lands=False, error=OSError("full"))
    )
    with pytest.raises(CommitError, match="full") as caught:
        table.commit([span(P0, None, 0)], rows((P0, 0)))
    assert "still in Kafka" in (caught.value.hint or "")
    assert bench.pauses == list(BACKOFF_SECONDS[1:])
    assert bench.offsets() == []


def test_compaction_between_check_and_commit_does_not_matter(bench: Bench) -> None:
    table = bench.table("visits")
    table.commit([span(P0, None, 0)], rows((P0, 0)))
    table.commit([span(P0, 0, 1)], rows((P0, 1)))
    bench.lake.open("bronze", "visits").optimize.compact()
    assert table.commit([span(P0, 1, 2)], rows((P0, 2))).landed == {P0}
    assert bench.offsets() == [(0, 0), (0, 1), (0, 2)]


def test_commit_times_increase_even_when_the_clock_goes_back(bench: Bench) -> None:
    import datetime as dt

    times = iter(
        dt.datetime(2026, 1, 1, 0, 0, second, tzinfo=dt.UTC) for second in (30, 10, 10, 10)
    )
    table = bench.table("visits")
    clocked = TransactionalTable(table._opener, "lakeward", now=lambda: next(times))
    clocked.commit([span(P0, None, 0)], rows((P0, 0)))
    clocked.commit([span(P0, 0, 1)], rows((P0, 1)))
    restarted = TransactionalTable(table._opener, "lakeward", now=lambda: next(times))
    restarted.commit([span(P0, 1, 2)], rows((P0, 2)))
    found = bench.lake.open("bronze", "visits").to_pyarrow_table().sort_by("_offset")
    stamps = found["_committed_at"].to_pylist()
    assert stamps == sorted(set(stamps))
    assert {stamp.date() for stamp in stamps} == set(found["_ingest_date"].to_pylist())


def test_a_handle_is_renewed_now_and_then_and_still_sees_who_moved_the_source(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With deltalake 1.6.6 each commit through one handle is slower than the one before."""
    monkeypatch.setattr(lake.writer.commit, "CHECKPOINT_EVERY", 2)
    table, other = bench.table("visits"), bench.table("visits")
    first = table._table
    for offset in range(5):
        outcome = table.commit(
            [span(P0, offset - 1 if offset else None, offset)], rows((P0, offset))
        )
        assert outcome.landed == {P0}
    assert table._table is not first
    for offset in range(3):  # its next commit is the first with a new handle
        outcome = other.commit(
            [span(P1, offset - 1 if offset else None, offset)], rows((P1, offset))
        )
        assert outcome.landed == {P1}
    assert other.commit([span(P0, 2, 3)], rows((P0, 3))).fenced == {P0}
    assert bench.offsets() == [(0, n) for n in range(5)] + [(1, n) for n in range(3)]
