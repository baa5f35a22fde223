"""Each message ends in bronze or in the dead letters, once, wherever a writer stops."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

import lake.writer.commit
from lake.errors import DeadLetterLimitError
from lake.tables import DEAD_LETTERS
from lake.writer.commit import TransactionalTable
from lake.writer.limit import DeadLetterLimit
from lake.writer.sink import Flushed, Sink
from tests.lake.writer.bench import (
    CONTRACT,
    P0,
    P1,
    STRICTER,
    WIDER,
    Bench,
    batch,
    landed,
    poison,
    raw,
    visit,
)


class Crash(BaseException):
    """The process is gone: nothing catches it."""


def crash_before_bronze(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commits to the dead letters land, and the process die before one to bronze."""
    commit = TransactionalTable.commit

    def dying(self: TransactionalTable, *args: Any, **options: Any) -> Any:
        if not self.uri.endswith(DEAD_LETTERS):
            raise Crash
        return commit(self, *args, **options)

    monkeypatch.setattr(TransactionalTable, "commit", dying)


def crash(bench: Bench, sink: Sink, *parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        crash_before_bronze(patch)
        with pytest.raises(Crash):
            sink.write(batch(*parts))


def test_good_messages_become_rows_and_broken_ones_dead_letters(bench: Bench) -> None:
    sink = bench.sink()
    assert bench.take_over(sink, P0, P1) == {P0: None, P1: None}
    flushed = sink.write(
        batch((P0, None, [visit(P0, 0), poison(P0, 1), visit(P0, 2)]), (P1, None, [visit(P1, 0)]))
    )
    assert landed(flushed) == {P0: 2, P1: 0}
    assert (flushed.messages, flushed.rows, dict(flushed.dead)) == (4, 3, {"not_json": 1})
    assert bench.offsets() == [(0, 0), (0, 2), (1, 0)]
    assert bench.dead_offsets() == [(0, 1)]
    report = bench.audit()
    assert report.is_clean, report.findings
    assert (report.messages, report.rows, report.dead) == (4, 3, 1)


def test_a_tail_of_nothing_but_poison_advances(bench: Bench) -> None:
    sink = bench.sink()
    bench.take_over(sink, P0)
    sink.write(batch((P0, None, [poison(P0, 0), poison(P0, 1)])))
    assert bench.take_over(bench.sink(), P0) == {P0: 1}
    assert bench.audit().is_clean


def test_a_tail_of_nothing_but_tombstones_advances(bench: Bench) -> None:
    sink = bench.sink()
    bench.take_over(sink, P0)
    sink.write(batch((P0, None, [visit(P0, 0), raw(P0, 1, None), raw(P0, 2, None)])))
    assert bench.take_over(bench.sink(), P0) == {P0: 2}
    assert bench.dead_offsets() == [(0, 1), (0, 2)]


def test_a_tail_of_nothing_but_transaction_markers_advances(bench: Bench) -> None:
    sink = bench.sink()
    bench.take_over(sink, P0)
    sink.write(batch((P0, None, [visit(P0, 0)]), last=3))
    sink.write(batch((P0, 3, []), last=5))
    assert bench.take_over(bench.sink(), P0) == {P0: 5}
    report = bench.audit()
    assert report.is_clean
    assert report.partitions[0].not_carried == 5


def test_a_message_at_offset_zero_alone_is_taken_up_once(bench: Bench) -> None:
    sink = bench.sink()
    bench.take_over(sink, P0)
    sink.write(batch((P0, None, [visit(P0, 0)])))
    assert bench.take_over(bench.sink(), P0) == {P0: 0}
    assert bench.offsets() == [(0, 0)]


def test_dead_letters_of_a_run_that_died_before_bronze_are_not_doubled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [visit(P0, 0), poison(P0, 1), visit(P0, 2), poison(P0, 3)]
    sink = bench.sink()
    bench.take_over(sink, P0)
    crash(bench, sink, (P0, None, messages), monkeypatch=monkeypatch)
    assert (bench.offsets(), bench.dead_offsets()) == ([], [(0, 1), (0, 3)])
    assert bench.audit().partitions[0].ahead == 2

    again = bench.sink()
    assert bench.take_over(again, P0) == {P0: None}
    again.write(batch((P0, None, [*messages, poison(P0, 4)])))
    assert bench.offsets() == [(0, 0), (0, 2)]
    assert bench.dead_offsets() == [(0, 1), (0, 3), (0, 4)]
    assert bench.audit().is_clean


def test_a_smaller_batch_after_such_a_death_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [poison(P0, 0), visit(P0, 1), visit(P0, 2), poison(P0, 3)]
    sink = bench.sink()
    bench.take_over(sink, P0)
    crash(bench, sink, (P0, None, messages), monkeypatch=monkeypatch)

    again = bench.sink()
    bench.take_over(again, P0)
    again.write(batch((P0, None, messages[:2])))
    again.write(batch((P0, 1, messages[2:3])))
    # the dead-letter position stays ahead of bronze until bronze has passed it
    third = bench.sink()
    assert bench.take_over(third, P0) == {P0: 2}
    third.write(batch((P0, 2, messages[3:])))
    assert bench.offsets() == [(0, 1), (0, 2)]
    assert bench.dead_offsets() == [(0, 0), (0, 3)]
    assert bench.audit().is_clean


def test_a_contract_that_grew_stricter_in_between_sends_each_message_to_one_place(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [visit(P0, 0), poison(P0, 1), visit(P0, 2, channel="web"), poison(P0, 3)]
    sink = bench.sink()
    bench.take_over(sink, P0)
    crash(bench, sink, (P0, None, messages), monkeypatch=monkeypatch)

    stricter = bench.sink(STRICTER)
    bench.take_over(stricter, P0)
    # offset 0 lies before the dead-letter position, and is a dead letter only now
    flushed = stricter.write(batch((P0, None, messages)))
    assert dict(flushed.dead) == {"missing_required": 1}
    assert bench.offsets() == [(0, 2)]
    assert bench.dead_offsets() == [(0, 0), (0, 1), (0, 3)]
    assert bench.audit().is_clean


def test_a_dead_letter_added_below_does_not_turn_the_dead_letter_position_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [visit(P0, 0), poison(P0, 1), visit(P0, 2, channel="web"), poison(P0, 3)]
    sink = bench.sink()
    bench.take_over(sink, P0)
    crash(bench, sink, (P0, None, messages), monkeypatch=monkeypatch)
    stricter = bench.sink(STRICTER)
    bench.take_over(stricter, P0)
    stricter.write(batch((P0, None, messages[:1])))
    later = bench.sink(STRICTER)
    assert bench.take_over(later, P0) == {P0: 0}
    later.write(batch((P0, 0, messages[1:])))
    assert bench.offsets() == [(0, 2)]
    assert bench.dead_offsets() == [(0, 0), (0, 1), (0, 3)]
    assert bench.audit().is_clean


def test_a_contract_that_grew_laxer_in_between_sends_each_message_to_one_place(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [visit(P0, 0), visit(P0, 1, channel="web")]
    strict = bench.sink(STRICTER)
    bench.take_over(strict, P0)
    crash(bench, strict, (P0, None, messages), monkeypatch=monkeypatch)
    assert bench.dead_offsets() == [(0, 0)]

    lax = bench.sink(WIDER)
    bench.take_over(lax, P0)
    lax.write(batch((P0, None, messages)))
    assert bench.offsets() == [(0, 1)]
    assert bench.dead_offsets() == [(0, 0)]
    assert bench.audit().is_clean


@pytest.mark.parametrize("lands", [True, False])
def test_a_second_commit_of_dead_letters_at_one_position_is_told_from_a_failed_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, lands: bool
) -> None:
    # a stricter contract adds a dead letter below the dead-letter position, which stays: only the
    # token shows whether that commit landed
    messages = [visit(P0, 0), poison(P0, 1)]
    sink = bench.sink()
    bench.take_over(sink, P0)
    crash(bench, sink, (P0, None, messages), monkeypatch=monkeypatch)
    stricter = bench.sink(STRICTER)
    bench.take_over(stricter, P0)
    failed: list[str] = []

    def write(table: Any, rows: pa.Table, **kwargs: Any) -> None:
        if table.table_uri.rstrip("/").endswith(DEAD_LETTERS) and not failed:
            failed.append("once")
            if lands:
                write_deltalake(table, rows, **kwargs)
            raise OSError("the answer was lost")
        write_deltalake(table, rows, **kwargs)

    monkeypatch.setattr(lake.writer.commit, "write_deltalake", write)
    stricter.write(batch((P0, None, messages)))
    assert failed
    assert bench.offsets() == []
    assert bench.dead_offsets() == [(0, 0), (0, 1)]
    assert bench.audit().is_clean


def test_a_stale_writer_is_fenced_in_both_tables(bench: Bench) -> None:
    stale, owner = bench.sink(), bench.sink()
    bench.take_over(stale, P0)
    bench.take_over(owner, P0)
    owner.write(batch((P0, None, [poison(P0, 0), visit(P0, 1)])))
    flushed = stale.write(batch((P0, None, [poison(P0, 0), visit(P0, 1), visit(P0, 2)])))
    assert flushed.fenced == {P0}
    assert flushed.landed == {}
    assert bench.offsets() == [(0, 1)]
    assert bench.dead_offsets() == [(0, 0)]
    assert bench.take_over(stale, P0) == {P0: 1}
    assert landed(stale.write(batch((P0, 1, [visit(P0, 2)])))) == {P0: 2}
    assert bench.audit().is_clean


def test_dead_letters_of_a_stale_writer_are_seen_though_the_handle_moved_on(bench: Bench) -> None:
    # the owner's dead-letter handle advances over the stale writer's commit by committing for
    # another partition; the letters in it must not be taken for its own
    stale, owner = bench.sink(), bench.sink()
    bench.take_over(stale, P0)
    bench.take_over(owner, P0, P1)
    stale_batch = batch((P0, None, [poison(P0, 0)]))
    commit = TransactionalTable.commit
    with pytest.MonkeyPatch.context() as patch:

        def dying(self: TransactionalTable, *args: Any, **options: Any) -> Any:
            if not self.uri.endswith(DEAD_LETTERS):
                raise Crash
            return commit(self, *args, **options)

        patch.setattr(TransactionalTable, "commit", dying)
        with pytest.raises(Crash):
            stale.write(stale_batch)
    owner.write(batch((P1, None, [poison(P1, 0)])))
    assert owner.write(batch((P0, None, [poison(P0, 0), visit(P0, 1)]))).fenced == {P0}
    assert bench.take_over(owner, P0) == {P0: None}
    owner.write(batch((P0, None, [poison(P0, 0), visit(P0, 1)])))
    assert bench.dead_offsets() == [(0, 0), (1, 0)]
    assert bench.offsets() == [(0, 1)]
    assert bench.audit().is_clean


def test_a_stale_writer_with_an_older_contract_can_commit_nothing_any_more(bench: Bench) -> None:
    # to the old contract offset 0 is a row, to the new one a dead letter: had the old one still a
    # say, the message would be in both tables
    old = bench.sink(CONTRACT)
    bench.take_over(old, P0)
    new = bench.sink(STRICTER)
    bench.take_over(new, P0)
    assert old.write(batch((P0, None, [visit(P0, 0)]))).fenced == {P0}
    assert bench.offsets() == []
    new.write(batch((P0, None, [visit(P0, 0), visit(P0, 1, channel="web")])))
    assert bench.offsets() == [(0, 1)]
    assert bench.dead_offsets() == [(0, 0)]
    assert bench.audit().is_clean


def test_a_sleeper_does_not_make_a_dead_letter_of_a_row_that_older_rules_made(bench: Bench) -> None:
    """The rules change back and forth while it sleeps: they look as it left them, and are not."""
    sleeper = bench.sink(STRICTER)
    bench.take_over(sleeper, P0)
    rolled_back = bench.sink()
    bench.take_over(rolled_back, P0)
    rolled_back.write(batch((P0, None, [visit(P0, 0)])))
    bench.take_over(bench.sink(STRICTER), P0)

    flushed = sleeper.write(batch((P0, None, [visit(P0, 0)])))
    assert flushed.fenced == {P0}
    assert bench.offsets() == [(0, 0)]
    assert not bench.dead_offsets()


def test_a_sleeper_does_not_make_a_row_of_a_dead_letter_that_newer_rules_made(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above, and the newer writer died before its commit to bronze, which so looks untouched."""
    sleeper = bench.sink()
    bench.take_over(sleeper, P0)
    newer = bench.sink(STRICTER)
    bench.take_over(newer, P0)
    crash(bench, newer, (P0, None, [visit(P0, 0)]), monkeypatch=monkeypatch)
    bench.take_over(bench.sink(), P0)

    flushed = sleeper.write(batch((P0, None, [visit(P0, 0)])))
    assert flushed.fenced == {P0}
    assert not bench.offsets()
    assert bench.dead_offsets() == [(0, 0)]


def test_writers_of_two_versions_share_a_table_by_partition(bench: Bench) -> None:
    old, new = bench.sink(CONTRACT), bench.sink(WIDER)
    bench.take_over(old, P0)
    bench.take_over(new, P1)
    for offset in range(3):
        held = offset - 1 if offset else None
        old.write(batch((P0, held, [visit(P0, offset, channel="web")])))
        new.write(batch((P1, held, [visit(P1, offset, channel="web")])))
    rows = bench.lake.open("bronze", "visits").to_pyarrow_table()
    assert sorted(
        zip(rows["_partition"].to_pylist(), rows["channel"].to_pylist(), strict=True)
    ) == [
        *[(0, None)] * 3,
        *[(1, "web")] * 3,
    ]
    kept = [r for r in rows["_rescued"].to_pylist() if r]
    assert kept == ['{"channel":"web"}'] * 3
    assert bench.audit().is_clean


def test_compaction_changes_nothing_in_the_audit(bench: Bench) -> None:
    sink = bench.sink()
    bench.take_over(sink, P0)
    for offset in range(6):
        sink.write(
            batch(
                (P0, offset - 1 if offset else None, [(visit, poison)[offset % 3 == 2](P0, offset)])
            )
        )
    before = bench.audit()
    for name in ("visits", DEAD_LETTERS):
        table = bench.lake.open("bronze", name)
        assert table.optimize.compact()["numFilesRemoved"] > 1
        table.create_checkpoint()
        table.vacuum(0, dry_run=False, enforce_retention_duration=False)
    after = bench.audit()
    assert after.is_clean
    assert [p.rows for p in after.partitions] == [p.rows for p in before.partitions] == [4]
    assert [p.dead for p in after.partitions] == [2]
    assert landed(sink.write(batch((P0, 5, [visit(P0, 6)])))) == {P0: 6}
    assert bench.audit().is_clean


def flush(sink: Sink, held: int | None, dead: int, good: int) -> Flushed:
    first = 0 if held is None else held + 1
    messages = [poison(P0, first + i) for i in range(dead)]
    messages += [visit(P0, first + dead + i) for i in range(good)]
    return sink.write(batch((P0, held, messages)))


def test_too_many_dead_letters_stop_the_writer_before_the_batch_is_written(bench: Bench) -> None:
    sink = bench.sink(limit=DeadLetterLimit("visits", 0.5, 100))
    bench.take_over(sink, P0)
    flush(sink, None, 30, 40)
    with pytest.raises(DeadLetterLimitError, match="not_json 8") as caught:
        flush(sink, 69, 51, 0)
    assert "--force" in (caught.value.hint or "")
    assert len(bench.offsets()) == 40
    assert len(bench.dead_offsets()) == 30
    # after a restart the same messages are read again, and --force (no limit) takes them
    forced = bench.sink()
    assert bench.take_over(forced, P0) == {P0: 69}
    assert len(flush(forced, 69, 51, 0).landed) == 1
    assert bench.audit().is_clean


def test_fewer_messages_than_the_window_never_stop_the_writer(bench: Bench) -> None:
    sink = bench.sink(limit=DeadLetterLimit("visits", 0.5, 100))
    bench.take_over(sink, P0)
    assert dict(flush(sink, None, 99, 0).dead) == {"not_json": 99}


def test_a_burst_inside_one_large_batch_stops_the_writer_too(bench: Bench) -> None:
    sink = bench.sink(limit=DeadLetterLimit("visits", 0.5, 100))
    bench.take_over(sink, P0)
    with pytest.raises(DeadLetterLimitError, match="60 of 100"):
        flush(sink, None, 60, 2000)
