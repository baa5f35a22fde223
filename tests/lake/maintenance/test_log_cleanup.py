"""The log ends somewhere, and nothing is forgotten with it."""

from __future__ import annotations

from typing import Any

import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

import lake.maintenance.run
from lake.commit_ranges import COMMIT_RANGES, Range
from lake.delta_log import read_changes
from lake.increments import Pinned
from lake.log_files import LogFiles
from lake.maintenance.fold import SPARSE_AT_ONCE, joined
from lake.tables import DEAD_LETTERS
from lake.writer.commit import TransactionalTable
from tests.lake.maintenance.rounds import NOTHING_KEPT, Rounds, versions
from tests.lake.writer.bench import P0, P1, batch, visit


def ranges(rounds: Rounds) -> list[tuple[int, int, int, int, int, int]]:
    rows = rounds.table(COMMIT_RANGES, "ops").to_pyarrow_table().to_pylist()
    return sorted(
        (r["partition"], r["first_offset"], r["last_offset"], r["messages"], r["rows"], r["dead"])
        for r in rows
    )


def test_old_commits_are_folded_and_removed_and_the_audit_stays_exact(rounds: Rounds) -> None:
    rounds.write(35)
    before = rounds.audit()
    rounds.age_log(31)
    rounds.maintain()  # makes the checkpoint, which is new
    rounds.age_log(31)
    done = rounds.maintain()["bronze.visits"]
    assert done.cleaned is not None
    assert done.cleaned.files > 15
    assert versions(rounds.log())[0] == done.cleaned.first_version > 25
    assert ranges(rounds) == [(0, 0, 349, 350, 315, 35), (1, 0, 349, 350, 350, 0)]
    after = rounds.audit()
    assert after.is_clean
    assert [p.commits for p in after.partitions] == [p.commits for p in before.partitions]
    assert [(p.rows, p.dead, p.stored, p.first) for p in after.partitions] == [
        (p.rows, p.dead, p.stored, p.first) for p in before.partitions
    ]


def test_what_is_lost_after_folding_is_found(rounds: Rounds) -> None:
    rounds.write(5)
    rounds.keep_nothing()
    rounds.table().delete("_partition = 1 and _offset = 14")
    rounds.table(DEAD_LETTERS).delete("_offset = 23")
    found = [(f.kind, f.source.partition, f.count, f.offsets) for f in rounds.audit().findings]
    assert found == [("lost", 0, 1, (23,)), ("lost", 1, 1, (14,))]


def test_young_commits_stay(rounds: Rounds) -> None:
    rounds.write(35)
    before = rounds.log()
    rounds.maintain()
    assert set(before) <= set(rounds.log())
    rounds.age_log(29)
    rounds.maintain()
    assert set(before) <= set(rounds.log())


def test_what_is_not_folded_is_not_removed(rounds: Rounds) -> None:
    rounds.write(35)
    rounds.maintain(steps=frozenset({"compact", "checkpoint"}))
    rounds.age_log(100)
    before = rounds.log()
    rounds.maintain(steps=frozenset({"clean"}))
    assert rounds.log() == before
    rounds.maintain(steps=frozenset({"fold", "clean"}))
    assert len(rounds.log()) < len(before)
    assert rounds.audit().is_clean


@pytest.mark.parametrize("crash_at", ["after_fold", 0, 1, 7, 25])
def test_a_crash_between_folding_and_cleaning_does_no_harm(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch, crash_at: str | int
) -> None:
    rounds.write(35)
    rounds.maintain(steps=frozenset({"compact", "checkpoint"}))
    rounds.age_log(100)
    delete = LogFiles.delete
    left = [0 if crash_at == "after_fold" else int(crash_at)]

    def dying(self: LogFiles, file: Any) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        delete(self, file)

    def dying_clean(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        if crash_at == "after_fold":
            crash.setattr(lake.maintenance.run, "clean", dying_clean)
        else:
            crash.setattr(LogFiles, "delete", dying)
        with pytest.raises(KeyboardInterrupt):
            rounds.maintain(("bronze", "visits"))
    assert ranges(rounds) == [(0, 0, 349, 350, 315, 35), (1, 0, 349, 350, 350, 0)]
    rounds.assert_exactly_once()
    rounds.write(1)
    rounds.maintain(("bronze", "visits"))
    rounds.assert_exactly_once()
    assert versions(rounds.log())[0] > 25


def test_a_crash_before_the_fold_is_committed_folds_it_the_next_time(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds.write(5)
    with monkeypatch.context() as crash:
        crash.setattr(lake.maintenance.fold, "write_deltalake", _die)
        with pytest.raises(KeyboardInterrupt):
            rounds.maintain(("bronze", "visits"))
    rounds.maintain(("bronze", "visits"))
    assert ranges(rounds) == [(0, 0, 49, 50, 45, 5), (1, 0, 49, 50, 50, 0)]


def test_a_fold_that_landed_while_its_answer_was_lost_is_not_made_again(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds.write(5)
    write = lake.maintenance.fold.write_deltalake

    def losing(*args: Any, **kwargs: Any) -> None:
        write(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(lake.maintenance.fold, "write_deltalake", losing)
        with pytest.raises(KeyboardInterrupt):
            rounds.maintain(("bronze", "visits"))
    rounds.maintain(("bronze", "visits"))
    assert ranges(rounds) == [(0, 0, 49, 50, 45, 5), (1, 0, 49, 50, 50, 0)]


def test_two_that_fold_at_once_fold_once(rounds: Rounds, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds.write(5)
    write = lake.maintenance.fold.write_deltalake
    other = [lambda: rounds.maintain(("bronze", "visits"))]

    def overtaken(*args: Any, **kwargs: Any) -> None:
        if other:
            other.pop()()
        write(*args, **kwargs)

    monkeypatch.setattr(lake.maintenance.fold, "write_deltalake", overtaken)
    rounds.maintain(("bronze", "visits"))
    assert ranges(rounds) == [(0, 0, 49, 50, 45, 5), (1, 0, 49, 50, 50, 0)]


def test_folded_ranges_do_not_grow_with_the_number_of_commits(rounds: Rounds) -> None:
    rounds.write(3)
    rounds.keep_nothing()
    rounds.write(40)
    rounds.keep_nothing()
    assert len(ranges(rounds)) == 4
    rounds.assert_exactly_once()


def test_ranges_that_tell_of_a_hole_or_of_an_overlap_are_kept_apart() -> None:
    hole = [Range(0, 9, 10, 10, 0, 1), Range(11, 20, 10, 10, 0, 2)]
    overlap = [Range(0, 9, 10, 10, 0, 1), Range(9, 20, 12, 12, 0, 2)]
    assert joined(hole) == hole
    assert joined(overlap) == overlap


def test_a_range_with_offsets_that_carried_nothing_is_not_merged_with_an_exact_one() -> None:
    marker = Range(10, 20, 10, 10, 0, 2)
    assert joined([Range(0, 9, 10, 10, 0, 1), marker]) == [Range(0, 9, 10, 10, 0, 1), marker]
    many = [Range(n * 10, n * 10 + 9, 9, 9, 0, n) for n in range(SPARSE_AT_ONCE * 2)]
    assert [one.commits for one in joined(many)] == [SPARSE_AT_ONCE] * 2


def test_a_table_made_anew_has_none_of_the_old_ones_ranges(rounds: Rounds, tmp_path: Any) -> None:
    import shutil

    rounds.write(5)
    rounds.maintain()
    for name in ("visits", DEAD_LETTERS):
        shutil.rmtree(rounds.lake.uri("bronze", name))
    again = Rounds(rounds.bench, rounds.bench.sink())
    rounds.bench.take_over(again.sink, P0, P1)
    again.write(2)
    again.assert_exactly_once()
    again.keep_nothing()
    again.assert_exactly_once()


def test_positions_survive_checkpoint_cleanup_and_reopening(rounds: Rounds) -> None:
    # failures.md: expired transaction state reopens duplicates (delta-rs 2566)
    stale = rounds.bench.sink()
    rounds.write(1)
    stale.take_over([P0, P1])
    rounds.write(34)
    rounds.keep_nothing()
    rounds.write(1)
    rounds.keep_nothing()
    app_id = P1.app_id("lakeward", "visits")
    assert versions(rounds.log())[0] > 20
    assert rounds.table().transaction_version(app_id) == 359
    assert rounds.bench.table("visits").version_of(app_id) == 359
    # a writer that still believes in its old handle: the commits in between are gone
    flushed = stale.write(batch((P1, 9, [visit(P1, o) for o in range(10, 20)])))
    assert (dict(flushed.landed), flushed.fenced) == ({}, {P1})
    rounds.assert_exactly_once()


def test_a_writer_that_was_idle_through_a_cleanup_goes_on(rounds: Rounds) -> None:
    rounds.write(35)
    for _ in range(3):
        rounds.keep_nothing()
    rounds.write(2)
    rounds.assert_exactly_once()


def test_versions_within_the_retention_can_be_opened(rounds: Rounds) -> None:
    rounds.write(35)
    rounds.maintain()
    rounds.age_log(31)
    young = rounds.table().version() + 1
    rounds.write(35)
    rounds.maintain()
    table = rounds.table()
    for version in range(young, table.version() + 1):
        assert DeltaTable(table.table_uri, version=version).version() == version


def test_the_log_of_a_busy_table_stays_short_however_young_it_is(rounds: Rounds) -> None:
    rounds.write(150)
    rounds.maintain(log_commits=50)
    first = versions(rounds.log())[0]
    assert 80 <= first <= 100
    rounds.assert_exactly_once()
    # and one version an hour before it can be opened
    sparse = [int(file[:20]) for file in rounds.log() if file.endswith("checkpoint.parquet")]
    assert sparse[0] < first
    assert DeltaTable(rounds.table().table_uri, version=sparse[0]).version() == sparse[0]


def test_what_a_model_has_not_read_stays_in_a_busy_tables_log(rounds: Rounds) -> None:
    rounds.write(25)
    upstream = Pinned(rounds.lake, "bronze", "visits", rounds.table())
    write_deltalake(
        rounds.lake.uri("silver", "stg_visits"),
        rounds.table().to_pyarrow_table(columns=["event_id"]),
        commit_properties=CommitProperties(app_transactions=upstream.progress()),
    )
    read = rounds.table().version()
    rounds.write(60)
    rounds.maintain(log_commits=10)
    assert versions(rounds.log())[0] <= read + 1
    model = rounds.table("stg_visits", "silver")
    changes = read_changes(rounds.table(), read, None)
    assert len(changes.added) == 60
    assert upstream.last_read_by(model) == read


def test_a_half_written_checkpoint_is_not_what_the_log_begins_with(rounds: Rounds) -> None:
    from pathlib import Path

    rounds.write(25)
    log = Path(rounds.lake.uri("bronze", "visits")) / "_delta_log"
    part = log / "00000000000000000020.checkpoint.0000000001.0000000002.parquet"
    part.write_bytes(b"PAR1")
    rounds.age_log(100)
    rounds.maintain(
        ("bronze", "visits"), steps=frozenset({"fold", "clean"}), log_retention=NOTHING_KEPT
    )
    assert versions(rounds.log())[0] == 19
    part.unlink()


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_the_writers_own_handle_knows_the_same_positions(rounds: Rounds) -> None:
    rounds.write(12)
    rounds.keep_nothing()
    table: TransactionalTable = rounds.sink._bronze
    table.reopen()
    assert table.version_of(P0.app_id("lakeward", "visits")) == 119
