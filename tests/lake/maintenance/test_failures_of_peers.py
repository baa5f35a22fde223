"""What happened to others' tables (the list in the design, 8 and 11 to 15) does not happen here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

import lake.writer.commit
from lake.duck import connect, delta_scan
from lake.tables import DEAD_LETTERS
from tests.lake.maintenance.rounds import Rounds, versions
from tests.lake.writer.bench import P0, P1

ROOT = Path(__file__).parents[3]


def test_08_a_restored_table_is_found_out_and_can_be_brought_back(rounds: Rounds) -> None:
    # RESTORE takes rows back and leaves the positions (delta 1813): a re-run would skip them
    rounds.write(10)
    whole = rounds.table().version()
    rounds.table().restore(whole - 4)
    app_id = P1.app_id("lakeward", "visits")
    assert rounds.table().transaction_version(app_id) == 99
    report = rounds.audit()
    assert report.count("lost") == 76
    assert {f.kind for f in report.findings} == {"lost"}
    # maintenance keeps what is needed for the way back, whatever the retention
    done = rounds.keep_nothing()
    assert "rows are missing" in done["bronze.visits"].notes[0]
    rounds.table().restore(whole)
    rounds.assert_exactly_once()
    rounds.write(1)
    rounds.assert_exactly_once()


def test_08_positions_do_not_expire(rounds: Rounds) -> None:
    # expired transaction state reopens duplicates (delta-rs 2566)
    rounds.write(3)
    for name in ("visits", DEAD_LETTERS):
        configuration = rounds.table(name).metadata().configuration
        assert "delta.setTransactionRetentionDuration" not in configuration
    rounds.age_log(1000)
    for _ in range(3):
        rounds.write(10)
        rounds.keep_nothing()
    assert versions(rounds.log())[0] > 10
    assert rounds.table().transaction_version(P0.app_id("lakeward", "visits")) == 329
    assert rounds.bench.sink().take_over([P0, P1]) == {P0: 329, P1: 329}


def test_11_checkpoints_are_made_by_the_writer_itself(rounds: Rounds) -> None:
    rounds.write(45)
    made = [int(f[:20]) for f in rounds.log() if f.endswith(".checkpoint.parquet")]
    assert made == [19, 39]


def test_11_a_table_opens_from_its_checkpoint_and_not_from_its_whole_log(rounds: Rounds) -> None:
    rounds.write(30)
    rounds.maintain()
    rounds.write(2)
    log = Path(rounds.lake.uri("bronze", "visits")) / "_delta_log"
    last = max(f for f in rounds.log() if f.endswith(".checkpoint.parquet"))
    for file in rounds.log():
        if file.endswith(".json") and file[:20] <= last[:20]:
            (log / file).write_text("this is not read")
    table = rounds.table()
    assert table.transaction_version(P1.app_id("lakeward", "visits")) == 319
    assert table.to_pyarrow_table().num_rows == 608
    rounds.write(1)
    with connect(rounds.lake) as duck:
        scan = delta_scan(rounds.lake.uri("bronze", "visits"))
        assert duck.execute(f"select count(*) from {scan}").fetchone() == (627,)


def test_11_a_checkpoint_that_a_crash_skipped_is_made_by_maintenance(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deltalake import PostCommitHookProperties

    write = lake.writer.commit.write_deltalake

    def dies_before_the_checkpoint(*args: Any, **kwargs: Any) -> None:
        no_hook = PostCommitHookProperties(create_checkpoint=False)
        write(*args, **kwargs, post_commithook_properties=no_hook)

    with monkeypatch.context() as crash:
        crash.setattr(lake.writer.commit, "write_deltalake", dies_before_the_checkpoint)
        rounds.write(25)
    assert not [f for f in rounds.log() if "checkpoint.parquet" in f]
    assert rounds.maintain()["bronze.visits"].checkpointed
    assert [f for f in rounds.log() if "checkpoint.parquet" in f]
    rounds.assert_exactly_once()


def test_12_the_number_of_files_stays_bounded(rounds: Rounds) -> None:
    # elsewhere: 52,000 rows in 7,725 files
    most = 0
    for _ in range(8):
        rounds.write(25)
        rounds.maintain()
        most = max(most, len(rounds.table().file_uris()))
    assert most <= 8
    rounds.keep_nothing()
    assert len(rounds.data_files()) <= 8
    rounds.assert_exactly_once()


def test_13_vacuum_during_an_append_deletes_nothing_it_needs(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the append's files are on disk and in no commit yet (delta-rs 3645)
    rounds.write(10)
    written: list[str] = []
    uri = rounds.lake.uri("bronze", "visits")
    write = lake.writer.commit.write_deltalake

    def in_flight(table: DeltaTable, *args: Any, **kwargs: Any) -> None:
        # what delta-rs does before it commits: the file is there, unknown to everybody
        before = rounds.data_files()
        copy = Path(uri) / sorted(before)[0]
        flying = copy.with_name("part-in-flight.parquet")
        flying.write_bytes(copy.read_bytes())
        written.append(str(flying))
        rounds.maintain()
        assert flying.exists()
        write(table, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(lake.writer.commit, "write_deltalake", in_flight)
        rounds.write(1)
    assert len(written) == 2  # bronze and dead letters
    rounds.assert_exactly_once()


def test_13_compact_vacuum_and_checkpoint_leave_a_readable_table(rounds: Rounds) -> None:
    # delta-rs 3057; and log cleanup that deletes what is still needed (3692, 2174)
    for _ in range(5):
        rounds.write(12)
        rounds.keep_nothing()
        rounds.assert_exactly_once()
        with connect(rounds.lake) as duck:
            scan = delta_scan(rounds.lake.uri("bronze", "visits"))
            assert duck.execute(f"select count(*) from {scan}").fetchone() == (
                len(rounds.bench.offsets()),
            )
        assert rounds.table().history(1)


def test_14_nothing_merges_into_a_table() -> None:
    # MERGE takes memory for the whole target and deadlocks (delta-rs 4422, 4614, 4572). Events are
    # immutable: silver is an anti-join and an append, gold replaces whole buckets
    packages = ("ingest", "lake", "expectations", "serving", "orchestration", "lakeward")
    for path in (path for package in packages for path in (ROOT / package).rglob("*.py")):
        assert ".merge(" not in path.read_text(), path
    for path in (ROOT / "dbt_project").rglob("*.sql"):
        assert "merge into" not in path.read_text().lower(), path


def test_15_duckdb_reads_a_table_after_restore_and_after_many_commits(rounds: Rounds) -> None:
    # duckdb-delta 151, duckdb 12983
    rounds.write(110)
    uri = rounds.lake.uri("bronze", "visits")
    whole = rounds.table().version()

    def read(where: str = "true") -> int:
        with connect(rounds.lake) as duck:
            sql = f"select count(*) from {delta_scan(uri)} where {where}"
            found = duck.execute(sql).fetchone()
        assert found is not None
        return int(found[0])

    assert read() == 110 * 19
    rounds.table().restore(50)
    at_50 = rounds.table().to_pyarrow_table().num_rows
    assert read() == at_50 < 110 * 19
    rounds.table().create_checkpoint()
    assert read() == at_50
    rounds.table().restore(whole)
    rounds.table().create_checkpoint()
    assert read() == 110 * 19
    rounds.maintain()
    assert read("_partition = 1 and _offset >= 1090") == 10
    rounds.assert_exactly_once()
