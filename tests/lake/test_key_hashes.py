"""Keys are found in whatever file they are, and files that hold none are not read."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.attached import attached
from lake.duck import connect
from lake.file_rows import column_types
from lake.increments import Pinned
from lake.key_hashes import KeyHashes
from lake.tables import Lake

DAYS = ["2026-03-01", "2026-03-02", "2026-03-03"]


@dataclass(frozen=True)
class Events:
    """A table with a hundred events on each of three days, and what is known of their keys."""

    lake: Lake
    folder: Path
    cursor: duckdb.DuckDBPyConnection

    @property
    def uri(self) -> str:
        return self.lake.uri("silver", "stg_a")

    def write(self) -> None:
        for day in DAYS:
            self.add(day, range(100))

    def add(self, day: str, numbers: Sequence[int]) -> None:
        columns = {
            "tenant_id": ["a b"] * len(numbers),
            "day": [day] * len(numbers),
            "id": [f"{day}/{n}" for n in numbers],
        }
        write_deltalake(
            self.uri, pa.table(columns), partition_by=["tenant_id", "day"], mode="append"
        )

    def near(self, *ids: str) -> list[str]:
        """Return the days of the files that may hold one of the keys."""
        pinned = Pinned(self.lake, "silver", "stg_a", self.lake.open("silver", "stg_a"))
        types = column_types(self.cursor, attached(self.cursor, pinned))
        self.cursor.execute(
            "create or replace table staged as select unnest(?::varchar[]) as id", [list(ids)]
        )
        rows = KeyHashes(self.folder, pinned, ["id"], types).rows_near(self.cursor, "staged")
        found = self.cursor.execute(f"select distinct day from ({rows}) order by day")
        return [str(day) for (day,) in found.fetchall()]

    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
def events(tmp_path: Path) -> Events:
    lake = Lake(str(tmp_path / "lake"))
    events = Events(lake, tmp_path / "hashes", connect(lake))
    events.write()
    return events


def test_only_files_that_hold_a_key_are_near(events: Events) -> None:
    assert events.near("2026-03-01/0", "2026-03-03/99", "new") == ["2026-03-01", "2026-03-03"]
    assert events.near("new", "newer") == []
    assert events.near() == []


def test_what_is_known_is_not_read_again(events: Events) -> None:
    assert events.near("new") == []
    for path in Path(events.uri).glob("tenant_id=*"):
        shutil.rmtree(path)
    assert events.near("newer") == []


def test_a_file_that_came_is_looked_into(events: Events) -> None:
    assert events.near("2026-03-02/100") == []
    events.add("2026-03-02", [100])
    assert events.near("2026-03-02/100") == ["2026-03-02"]


@pytest.mark.parametrize("size", [0, 8, 13])
def test_hashes_that_are_torn_are_worked_out_again(events: Events, size: int) -> None:
    assert events.near("new") == []
    for path in events.files():
        path.write_bytes(path.read_bytes()[:size])
    assert events.near("2026-03-02/50") == ["2026-03-02"]
    assert {path.stat().st_size for path in events.files()} == {800}


def test_of_a_file_that_is_gone_nothing_is_kept(events: Events) -> None:
    events.near("new")
    assert len(events.files()) == 3
    DeltaTable(events.uri).delete("day = '2026-03-01'")
    assert events.near("2026-03-01/0") == []
    assert len(events.files()) == 2


def test_another_table_at_the_same_place_is_not_mistaken_for_it(events: Events) -> None:
    events.near("new")
    before = events.files()
    shutil.rmtree(events.uri)
    events.write()
    assert events.near("2026-03-01/0") == ["2026-03-01"]
    assert set(events.files()).isdisjoint(before)
