"""A full build takes its keys in as many slices as memory asks for, each row in one of them."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lake.increments import Pinned, Plan
from lake.slices import BYTES_A_ROW, slices_for, stream
from lake.tables import Lake

ROWS = 1000


@pytest.fixture
def cursor() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Reads a table with 100 rows on each of ten days, and one that is not there yet."""
    lake = Lake(str(tmp_path))
    days = [date(2026, 3, day) for day in range(1, 11) for _ in range(ROWS // 10)]
    write_deltalake(
        lake.uri("silver", "stg_a"),
        pa.table({"tenant_id": ["acme"] * ROWS, "event_date": days, "n": range(ROWS)}),
        partition_by=["tenant_id", "event_date"],
    )
    upstreams = (
        Pinned(lake, "silver", "stg_a", lake.open("silver", "stg_a")),
        Pinned(lake, "silver", "stg_b", None),
    )
    return Plan("full", "first build", Pinned(lake, "silver", "int_c", None), upstreams)


def limit(cursor: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Give memory for so many rows at once: of so little a quarter is for them."""
    cursor.execute(f"set memory_limit = '{4 * rows * BYTES_A_ROW}B'")


@pytest.mark.parametrize(("rows", "slices"), [(10_000, 1), (1100, 1), (750, 2), (110, 10)])
def test_the_less_memory_the_more_slices_of_keys(
    cursor: duckdb.DuckDBPyConnection, plan: Plan, rows: int, slices: int
) -> None:
    limit(cursor, rows)
    assert len(slices_for(cursor, plan, "keys")) == slices
    assert len(slices_for(cursor, plan, None)) == 1


@pytest.mark.parametrize(
    ("rows", "ends"), [(10_000, []), (1100, []), (750, [7]), (350, [3, 6, 9]), (50, range(1, 10))]
)
def test_days_stay_whole(
    cursor: duckdb.DuckDBPyConnection, plan: Plan, rows: int, ends: list[int]
) -> None:
    limit(cursor, rows)
    slices = slices_for(cursor, plan, "days")
    bounds = ["0001-01-01", *(f"2026-03-{end:02}" for end in ends), "9999-12-31"]
    assert [(part["after_day"], part["to_day"]) for part in slices] == [
        (f"date '{after}'", f"date '{to}'") for after, to in pairwise(bounds)
    ]


def test_each_row_is_in_one_slice(cursor: duckdb.DuckDBPyConnection) -> None:
    sql = (
        "select i from range(1000) numbers (i) where hash(i) "
        "% coalesce(getvariable('slices')::ubigint, 1::ubigint) "
        "= coalesce(getvariable('slice')::ubigint, 0::ubigint)"
    )
    for count in (1, 3, 7):
        slices = [{"slices": str(count), "slice": str(number)} for number in range(count)]
        found = stream(cursor, [sql], slices).read_all()["i"].to_pylist()
        assert sorted(found) == list(range(1000))
