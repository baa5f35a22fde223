"""Vacuum removes what nobody needs, and never what somebody does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from lake.duck import connect, delta_scan
from lake.increments import Pinned
from lake.maintenance.run import Maintained
from lake.tables import DEAD_LETTERS
from tests.lake.maintenance.rounds import NOTHING_KEPT, Rounds, at, versions

REMEMBERED = "delta.deletedFileRetentionDuration"


def vacuum(rounds: Rounds, **options: object) -> Maintained:
    options = {"steps": frozenset({"vacuum"}), **options}
    return rounds.maintain(("bronze", "visits"), **options)["bronze.visits"]


def files_removed(done: Maintained) -> int:
    assert done.vacuumed is not None
    return done.vacuumed.files


def test_replaced_files_go_after_the_retention_and_not_before(rounds: Rounds) -> None:
    rounds.write(10)
    rounds.maintain()
    assert len(rounds.data_files()) == 11
    assert files_removed(vacuum(rounds)) == 0
    assert files_removed(vacuum(rounds, retention=NOTHING_KEPT)) == 10
    assert len(rounds.data_files()) == 1
    rounds.assert_exactly_once()


def test_a_round_with_nothing_to_remove_makes_no_commit(rounds: Rounds) -> None:
    rounds.write(3)
    version = rounds.table().version()
    vacuum(rounds)
    assert rounds.table().version() == version


def test_the_leftovers_of_a_writer_that_died_go_after_the_retention(rounds: Rounds) -> None:
    rounds.write(1)
    (there,) = rounds.data_files()
    folder = Path(rounds.lake.uri("bronze", "visits"))
    leftover = folder / Path(there).parent / "part-00000-dead.parquet"
    leftover.write_bytes(b"half a file")
    assert files_removed(vacuum(rounds)) == 0
    then = time.time() - 8 * 86_400
    os.utime(leftover, (then, then))
    assert files_removed(vacuum(rounds)) == 1
    assert rounds.data_files() == {there}


def test_a_reader_that_holds_a_version_reads_on_through_a_whole_round(rounds: Rounds) -> None:
    rounds.write(12)
    table = rounds.table()
    with connect(rounds.lake) as duck:
        scan = delta_scan(table.table_uri, table.version())
        duck.execute(f"create view pinned as from {scan}")
        reader = duck.execute("select _offset from pinned").to_arrow_reader(10)
        first = reader.read_next_batch().num_rows
        rounds.maintain()
        rounds.write(12)
        rounds.maintain()
        assert first + sum(batch.num_rows for batch in reader) == 228
        assert duck.execute("select count(*) from pinned").fetchone() == (228,)
        assert pq_rows(table) == 228


def pq_rows(table: DeltaTable) -> int:
    return sum(pq.read_metadata(file).num_rows for file in table.file_uris())


def test_a_file_that_is_older_than_the_retention_is_kept_for_as_long_since_it_was_replaced(
    rounds: Rounds,
) -> None:
    rounds.write(10)
    reader = rounds.table()
    folder = Path(rounds.lake.uri("bronze", "visits"))
    then = time.time() - 8 * 86_400
    for file in rounds.data_files():
        os.utime(folder / file, (then, then))
    rounds.age_log(8)
    # what checkpoints remember of replaced files ends before the retention does
    rounds.table().alter.set_table_properties({REMEMBERED: "interval 0 seconds"})
    rounds.maintain(steps=frozenset({"compact"}))
    rounds.table().create_checkpoint()
    assert files_removed(vacuum(rounds)) == 0
    assert pq_rows(reader) == 190
    rounds.age_log(8)
    assert files_removed(vacuum(rounds)) == 10


def test_a_version_that_only_its_checkpoint_is_left_of_keeps_its_files(rounds: Rounds) -> None:
    rounds.write(25)
    rounds.age_log(2)
    held = DeltaTable(rounds.table().table_uri, version=19).file_uris()
    then = time.time() - 9 * 86_400
    for file in held:
        os.utime(file, (then, then))
    rounds.write(20)
    rounds.maintain(("bronze", "visits"), log_commits=5)
    assert versions(rounds.log())[0] > 19
    assert DeltaTable(rounds.table().table_uri, version=19).file_uris() == held
    assert files_removed(vacuum(rounds, retention=timedelta(days=1))) == 0
    assert all(Path(file).exists() for file in held)


# --- models that have not read everything yet


@pytest.fixture
def behind(rounds: Rounds) -> Callable[[], None]:
    """Lets a model's table say that it has read bronze up to now."""

    def read_up_to_now() -> None:
        uri = rounds.lake.uri("silver", "stg_visits")
        upstream = Pinned(rounds.lake, "bronze", "visits", rounds.table())
        write_deltalake(
            uri,
            rounds.table().to_pyarrow_table(columns=["event_id"]),
            mode="overwrite",
            commit_properties=CommitProperties(app_transactions=upstream.progress()),
        )

    return read_up_to_now


def age(rounds: Rounds, days: float) -> dict[str, Any]:
    """The options of a round that happens so many days from now."""
    return {"now": lambda: at(days)}


def test_files_that_a_model_has_not_read_are_kept_for_it(
    rounds: Rounds, behind: Callable[[], None]
) -> None:
    rounds.write(1)
    behind()
    rounds.write(9)
    rounds.maintain()
    # delta-rs vacuums by the real clock, so the retention is what a test can turn
    done = vacuum(rounds, retention=NOTHING_KEPT)
    assert files_removed(done) == 0
    assert "silver.stg_visits" in done.notes[0]
    assert "lakeward build" in done.notes[0]
    behind()
    assert files_removed(vacuum(rounds, retention=NOTHING_KEPT)) == 10


def test_a_model_that_read_nothing_for_the_log_retention_is_not_waited_for(
    rounds: Rounds, behind: Callable[[], None]
) -> None:
    rounds.write(1)
    behind()
    rounds.write(9)
    rounds.maintain()
    done = vacuum(rounds, retention=NOTHING_KEPT, **age(rounds, 31))
    assert files_removed(done) == 10
    assert "silver.stg_visits read nothing for 30 days and will be built anew" in done.notes[0]


def test_a_model_that_has_only_maintenance_to_read_holds_nothing_back(
    rounds: Rounds, behind: Callable[[], None]
) -> None:
    rounds.write(10)
    behind()
    rounds.maintain()
    done = vacuum(rounds, retention=NOTHING_KEPT)
    assert files_removed(done) == 10
    assert done.notes == ()


# --- rows that are missing


def test_a_table_that_lacks_rows_is_not_vacuumed_unless_forced(rounds: Rounds) -> None:
    rounds.write(10)
    rounds.table().restore(6)
    done = vacuum(rounds, retention=NOTHING_KEPT)
    assert done.vacuumed is None
    assert "rows are missing" in done.notes[0]
    assert "lakeward audit" in done.notes[0]
    forced = vacuum(rounds, retention=NOTHING_KEPT, force=True)
    assert files_removed(forced) > 0


def test_dead_letters_that_lack_rows_are_not_vacuumed(rounds: Rounds) -> None:
    rounds.write(10)
    rounds.table(DEAD_LETTERS).delete("_offset = 33")
    done = rounds.maintain(retention=NOTHING_KEPT)
    assert done["bronze.dead_letters"].vacuumed is None
    assert "1 rows are missing" in done["bronze.dead_letters"].notes[0]
    assert done["bronze.visits"].vacuumed is not None
