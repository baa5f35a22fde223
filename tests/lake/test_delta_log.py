"""The files that came and went between two versions of a table are those of its rows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from lake.delta_log import Changes, DataFile, read_changes
from lake.maintenance.compaction import compact
from lake.tables import Lake


def replace(lake: Lake, day: str, rows: list[int]) -> DeltaTable:
    """Make ``rows`` what the table holds of ``day``, as a model does."""
    uri = lake.uri("silver", "numbers")
    data = pa.table({"day": [day] * len(rows), "n": rows})
    if not lake.exists("silver", "numbers"):
        write_deltalake(uri, data, partition_by=["day"])
    else:
        write_deltalake(uri, data, mode="overwrite", predicate=f"day = '{day}'")
    return DeltaTable(uri)


def rows(table: DeltaTable, files: tuple[DataFile, ...]) -> list[int]:
    folder = Path(table.table_uri.removeprefix("file://"))
    found = [pq.ParquetFile(folder / file.path).read().column("n").to_pylist() for file in files]
    return sorted(n for one in found for n in one)


def test_a_file_that_came_and_went_in_between_is_no_change(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    replace(lake, "monday", [1])
    replace(lake, "monday", [1, 2])
    table = replace(lake, "monday", [1, 2, 3])
    changes = read_changes(table, 0, None)
    assert rows(table, changes.added) == [1, 2, 3]
    assert rows(table, changes.removed) == [1], "and 2 is among the rows that came"
    assert not changes.is_tangled


def test_a_file_that_a_restore_brings_back_is_no_change(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    replace(lake, "monday", [1])
    table = replace(lake, "monday", [2])
    table.restore(0)
    table = DeltaTable(table.table_uri)
    assert read_changes(table, 0, None) == Changes()


def test_rows_that_were_compacted_and_written_again_are_told(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    replace(lake, "monday", [1])
    for n in range(2, 9):
        data = pa.table({"day": ["monday"], "n": [n]})
        write_deltalake(lake.uri("silver", "numbers"), data, mode="append")
    read = lake.open("silver", "numbers").version()
    compact(lake, "silver", "numbers", target_size=1 << 20, now=lambda: datetime.now(UTC))
    table = replace(lake, "monday", [1, 2, 3])
    assert read_changes(table, 0, None).is_tangled
    changes = read_changes(table, read, None)
    assert not changes.is_tangled, "it had read what was compacted"
    assert rows(table, changes.added) == [1, 2, 3]
    assert rows(table, changes.removed) == [1, 2, 3, 4, 5, 6, 7, 8]
