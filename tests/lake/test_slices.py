"""A full build takes its keys in as many slices as memory asks for, each row in one of them."""

from __future__ import annotations

from datetime import date
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


@pytest.mark.parametrize(("megabytes", "slices"), [(1000, 1), (1, 1), (0.5, 2), (0.1, 9)])
def test_the_less_memory_the_more_slices(
    cursor: duckdb.DuckDBPyConnection, tmp_path: Path, megabytes: float, slices: int
) -> None:
    assert ROWS * BYTES_A_ROW == 800_000
    lake = Lake(str(tmp_path))
    rows = pa.table({"tenant_id": ["acme"] * ROWS, "event_date": [date(2026, 3, 1)] * ROWS})
    write_deltalake(lake.uri("silver", "stg_a"), rows)
    table = lake.open("silver", "stg_a")
    upstreams = (
        Pinned(lake, "silver", "stg_a", table),
        Pinned(lake, "silver", "stg_b", None),
    )
    plan = Plan("full", "first build", Pinned(lake, "silver", "int_c", None), upstreams)
    cursor.execute(f"set memory_limit = '{int(megabytes * 1_000_000)}B'")
    assert slices_for(cursor, plan) == slices


def test_each_row_is_in_one_slice(cursor: duckdb.DuckDBPyConnection) -> None:
    sql = (
        "select i from range(1000) numbers (i) where hash(i) "
        "% coalesce(getvariable('slices'), 1) = coalesce(getvariable('slice'), 0)"
    )
    for slices in (1, 3, 7):
        found = stream(cursor, sql, slices).read_all()["i"].to_pylist()
        assert sorted(found) == list(range(1000))
