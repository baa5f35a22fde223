"""Compaction moves rows and changes none, whoever else is at work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, Field, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

import lake.maintenance.compaction
import lake.maintenance.merge as merge
from lake.duck import connect, delta_scan
from lake.errors import LakeError
from lake.increments import FENCE
from lake.maintenance.compaction import Compacted, compact
from lake.maintenance.fence import BUILD_FENCE
from lake.tables import Lake
from tests.lake.maintenance.rounds import Rounds
from tests.lake.writer.bench import P0, P1, WIDER, batch, visit

SCHEMA = pa.schema([("number", pa.int64()), ("day", pa.string())])


def now() -> datetime:
    return datetime.now(UTC)


def run(lake: Lake, **options: Any) -> Compacted:
    return compact(lake, "silver", "t", target_size=2**20, now=now, **options)


def rows(*numbers: int, day: str = "a") -> pa.Table:
    return pa.table({"number": numbers, "day": [day] * len(numbers)}, schema=SCHEMA)


@pytest.fixture
def small(tmp_path: Path) -> Lake:
    """A table of ten files with one row each, in one partition."""
    for number in range(10):
        write_deltalake(
            str(tmp_path / "silver" / "t"), rows(number), mode="append", partition_by=["day"]
        )
    return Lake(str(tmp_path))


def numbers(lake: Lake) -> list[int]:
    table = lake.open("silver", "t").to_pyarrow_table()
    return sorted(table["number"].to_pylist())


def test_many_files_become_one_and_every_row_stays(rounds: Rounds) -> None:
    rounds.write(30)
    done = rounds.maintain()["bronze.visits"].compacted
    assert done is not None
    assert (done.files_before, done.files_after, done.files_merged) == (30, 1, 30)
    rounds.assert_exactly_once()


def test_a_second_round_finds_nothing_to_do(rounds: Rounds) -> None:
    rounds.write(12)
    rounds.maintain()
    version = rounds.table().version()
    done = rounds.maintain()["bronze.visits"].compacted
    assert done is not None
    assert done.files_merged == 0
    assert rounds.table().version() == version


def test_a_dry_run_says_what_a_run_would_do_and_changes_nothing(rounds: Rounds) -> None:
    rounds.write(12)
    before = {name: rounds.log(name) for name in ("visits", "dead_letters")}
    said = rounds.maintain(dry_run=True)
    assert {name: rounds.log(name) for name in ("visits", "dead_letters")} == before
    did = rounds.maintain()
    for label in ("bronze.visits", "bronze.dead_letters"):
        one, other = said[label].compacted, did[label].compacted
        assert one is not None
        assert other is not None
        assert (one.files_merged, one.files_after) == (other.files_merged, other.files_after)
        assert one.files_merged == 12


def test_the_writer_is_never_stopped_and_every_message_is_there_once(rounds: Rounds) -> None:
    rounds.write(10)
    stop = threading.Event()
    failures: list[BaseException] = []
    merged = 0

    def write() -> None:
        try:
            while not stop.is_set():
                rounds.write(1)
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while merged < 60 and thread.is_alive():
            for one in rounds.maintain(("bronze", "visits"), ("bronze", "dead_letters")).values():
                assert one.compacted is not None
                merged += one.compacted.files_merged
    finally:
        stop.set()
        thread.join(60)
    assert failures == []
    assert merged >= 60
    assert rounds.sink._bronze.conflicts == 0
    rounds.assert_exactly_once()


def test_a_writer_whose_handle_is_older_than_a_compaction_goes_on(rounds: Rounds) -> None:
    rounds.write(10)
    rounds.maintain()
    rounds.write(3)
    assert rounds.sink._bronze.conflicts == 0
    rounds.assert_exactly_once()


def test_dead_letters_that_are_ahead_are_found_after_compaction(rounds: Rounds) -> None:
    # a crash between the two tables; the next writer asks the compacted table what it holds
    rounds.write(10)
    offsets = range(100, 110)
    parts = (P0, 99, [visit(P0, o, tenant_id=None if o == 104 else "acme") for o in offsets])
    with pytest.MonkeyPatch.context() as crash:
        crash.setattr(rounds.sink._bronze, "commit", _die)
        with pytest.raises(KeyboardInterrupt):
            rounds.sink.write(batch(parts))
    rounds.maintain()
    successor = rounds.bench.sink()
    assert successor.take_over([P0, P1]) == {P0: 99, P1: 99}
    successor.write(batch(parts))
    assert rounds.bench.dead_offsets().count((0, 104)) == 1
    assert rounds.audit().is_clean


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def between(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Let ``what`` happen once, after a merge was planned and before it is committed."""
    merge = lake.maintenance.compaction.merge_files
    waiting = [what]

    def merging(*args: Any) -> int:
        found = merge(*args)
        if waiting:
            waiting.pop()()
        return found

    monkeypatch.setattr(lake.maintenance.compaction, "merge_files", merging)


def test_two_compactions_at_once_move_each_row_once(
    small: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    # deltalake's own optimize doubles every row here: both of its commits land
    between(monkeypatch, lambda: run(small))
    done = run(small)
    assert done.conflicts == 1
    assert numbers(small) == list(range(10))


def test_deltalakes_own_optimize_doubles_rows_when_two_run_at_once(small: Lake) -> None:
    # the reason for not using it; when this fails, delta-rs has learnt to refuse it
    uri = small.uri("silver", "t")
    one, other = DeltaTable(uri), DeltaTable(uri)
    one.optimize.compact()
    other.optimize.compact()
    assert len(numbers(small)) == 20


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda t: t.delete("number = 3"), [0, 1, 2, 4, 5, 6, 7, 8, 9]),
        (lambda t: t.delete(), []),
        (lambda t: t.restore(2), [0, 1, 2]),
        (lambda t: write_deltalake(t, rows(99), mode="overwrite"), [99]),
        (lambda t: write_deltalake(t, rows(99), mode="overwrite", predicate="day = 'a'"), [99]),
        (lambda t: write_deltalake(t, rows(99), mode="append"), [*range(10), 99]),
        (lambda t: t.alter.add_columns([Field("more", "string")]), list(range(10))),
        (lambda t: t.create_checkpoint(), list(range(10))),
    ],
    ids=[
        "delete",
        "delete-all",
        "restore",
        "overwrite",
        "replace",
        "append",
        "column",
        "checkpoint",
    ],
)
def test_what_happens_during_a_compaction_holds(
    small: Lake,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[DeltaTable], object],
    left: list[int],
) -> None:
    between(monkeypatch, lambda: change(DeltaTable(small.uri("silver", "t"))))
    run(small)
    assert numbers(small) == left


def build(number: int) -> CommitProperties:
    return CommitProperties(app_transactions=[Transaction(BUILD_FENCE, number)])


def test_the_fence_of_the_models_is_the_one_that_compaction_moves() -> None:
    assert BUILD_FENCE == FENCE


@pytest.mark.parametrize("predicate", [None, "day = 'a'"])
def test_a_build_that_a_compaction_overtook_does_not_bring_old_rows_back(
    small: Lake, predicate: str | None
) -> None:
    uri = small.uri("silver", "t")
    write_deltalake(uri, rows(10), mode="append", commit_properties=build(0))
    overtaken = DeltaTable(uri)
    run(small)
    with pytest.raises(CommitFailedError):
        write_deltalake(
            overtaken, rows(99), mode="overwrite", predicate=predicate, commit_properties=build(1)
        )
    assert numbers(small) == list(range(11))


def test_a_column_that_came_later_is_null_in_older_rows(rounds: Rounds) -> None:
    rounds.write(5)
    wider = rounds.bench.sink(WIDER)
    held = wider.take_over([P0, P1])
    for offset in range(50, 60):
        wider.write(batch((P0, held[P0], [visit(P0, offset, channel="web")])))
        held[P0] = offset
    rounds.maintain()
    table = rounds.table().to_pyarrow_table()
    channels = dict(zip(table["_offset"].to_pylist(), table["channel"].to_pylist(), strict=True))
    assert (channels[49], channels[50]) == (None, "web")
    assert rounds.audit().is_clean
    with connect(rounds.lake) as duck:
        scan = delta_scan(rounds.table().table_uri)
        assert duck.execute(f"select count(channel) from {scan}").fetchone() == (10,)


def test_memory_is_bounded_by_the_row_group_and_not_by_the_file(tmp_path: Path) -> None:
    many = pa.table({"number": range(200_000), "day": ["a"] * 200_000}, schema=SCHEMA)
    uri = str(tmp_path / "silver" / "t")
    for _ in range(8):
        write_deltalake(uri, many, mode="append")
    seen: list[int] = []
    conform = merge._conform

    def watch(*args: Any) -> pa.RecordBatch:
        seen.append(args[0].num_rows)
        return conform(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "_conform", watch)
        compact(Lake(str(tmp_path)), "silver", "t", target_size=2**30, now=now)
    assert sum(seen) == 1_600_000
    assert max(seen) <= merge.BATCH_ROWS
    (file,) = DeltaTable(uri).file_uris()
    groups = pq.ParquetFile(file).metadata
    assert max(groups.row_group(n).num_rows for n in range(groups.num_row_groups)) < 150_000


def test_a_table_with_features_that_change_what_a_file_means_is_left_alone(tmp_path: Path) -> None:
    uri = str(tmp_path / "silver" / "t")
    DeltaTable.create(uri, SCHEMA, configuration={"delta.enableDeletionVectors": "true"})
    for number in range(10):
        write_deltalake(uri, rows(number), mode="append")
    done = run(Lake(str(tmp_path)))
    assert (done.files_before, done.files_after) == (10, 10)
    assert "deletionVectors" in done.note


def test_a_file_that_is_not_what_the_log_says_is_not_merged(small: Lake) -> None:
    damaged = DeltaTable(small.uri("silver", "t")).file_uris()[0]
    pq.write_table(pa.table({"number": [1, 2, 3]}), damaged)
    version = small.open("silver", "t").version()
    with pytest.raises(LakeError, match="hold 12 rows, and the log says 10"):
        run(small)
    assert small.open("silver", "t").version() == version
