"""An attached table is one version of one table, and its log is read once."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lake.attached import attached, detach_all
from lake.duck import connect
from lake.increments import Pinned
from lake.tables import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """One table, with a quote in the path to it."""
    lake = Lake(str(tmp_path / "one's"))
    add(lake, 1)
    return lake


@pytest.fixture
def cursor(lake: Lake) -> duckdb.DuckDBPyConnection:
    return connect(lake)


def add(lake: Lake, *numbers: int) -> None:
    write_deltalake(lake.uri("silver", "stg_a"), pa.table({"n": numbers}), mode="append")


def pin(lake: Lake) -> Pinned:
    return Pinned(lake, "silver", "stg_a", lake.open("silver", "stg_a"))


def numbers(cursor: duckdb.DuckDBPyConnection, pinned: Pinned) -> list[int]:
    found = cursor.execute(f"select n from {attached(cursor, pinned)} order by n")
    return [n for (n,) in found.fetchall()]


def test_each_version_stays_what_it_was(cursor: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    first = pin(lake)
    assert numbers(cursor, first) == [1]
    add(lake, 2)
    second = pin(lake)
    assert numbers(cursor, second) == [1, 2]
    assert numbers(cursor, first) == [1]
    add(lake, 3)
    assert numbers(cursor, second) == [1, 2]


def test_the_version_is_the_pinned_one_though_the_table_has_moved_before_it_is_attached(
    cursor: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    pinned = pin(lake)
    add(lake, 2)
    assert numbers(cursor, pinned) == [1]


def test_the_log_is_not_read_again(cursor: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    pinned = pin(lake)
    assert numbers(cursor, pinned) == [1]
    shutil.rmtree(Path(lake.uri("silver", "stg_a")) / "_delta_log")
    assert numbers(cursor, pinned) == [1]


def test_a_table_made_anew_is_not_the_old_one(
    cursor: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    old = pin(lake)
    assert numbers(cursor, old) == [1]
    shutil.rmtree(lake.uri("silver", "stg_a"))
    add(lake, 7)
    new = pin(lake)
    assert old.table is not None
    assert new.table is not None
    assert old.table.version() == new.table.version()
    assert numbers(cursor, new) == [7]


def test_who_reads_goes_on_while_all_are_let_go(
    cursor: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    add(lake, *range(2, 5000))
    pinned = pin(lake)
    other = cursor.cursor()
    running = other.execute(f"select n from {attached(cursor, pinned)}")
    assert running.fetchone() is not None
    detach_all(cursor)
    left = cursor.execute("select count(*) from duckdb_databases() where type = 'delta'")
    assert left.fetchone() == (0,)
    assert len(running.fetchall()) == 4998
    assert len(numbers(cursor, pinned)) == 4999
