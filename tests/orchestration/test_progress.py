"""What the bronze sensor sees in the Delta log of real, small tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.tables import Lake, Layer
from orchestration.progress import Progress, progress

SCHEMA = pa.schema([("event_id", pa.string())])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def append(lake: Lake, table: str, rows: int) -> None:
    data = pa.table({"event_id": [str(n) for n in range(rows)]}, schema=SCHEMA)
    write_deltalake(lake.uri("bronze", table), data, mode="append")


def test_a_table_that_is_not_there_yet_is_no_progress(lake: Lake) -> None:
    assert progress(lake, ["clickstream"], {}) == []


def test_a_table_seen_for_the_first_time_counts_from_its_beginning(lake: Lake) -> None:
    append(lake, "clickstream", 3)
    append(lake, "clickstream", 4)
    assert progress(lake, ["clickstream"], {}) == [
        Progress("clickstream", version=1, rows=7, commits=2)
    ]


def test_only_what_came_since_is_counted(lake: Lake) -> None:
    for rows in (3, 4, 5):
        append(lake, "clickstream", rows)
    append(lake, "conversions", 1)
    seen = {"clickstream": 1, "conversions": 0}
    assert progress(lake, ["clickstream", "conversions"], seen) == [
        Progress("clickstream", version=2, rows=5, commits=1)
    ]


def test_version_zero_is_a_version_that_was_seen(lake: Lake) -> None:
    append(lake, "clickstream", 3)
    assert progress(lake, ["clickstream"], {"clickstream": 0}) == []


def test_compaction_moves_the_version_but_brings_no_rows(lake: Lake) -> None:
    append(lake, "clickstream", 3)
    append(lake, "clickstream", 4)
    DeltaTable(lake.uri("bronze", "clickstream")).optimize.compact()
    [found] = progress(lake, ["clickstream"], {"clickstream": 1})
    assert (found.version, found.rows, found.has_new_rows) == (2, 0, False)


def test_an_empty_commit_brings_no_rows(lake: Lake) -> None:
    append(lake, "clickstream", 3)
    append(lake, "clickstream", 0)
    [found] = progress(lake, ["clickstream"], {"clickstream": 0})
    assert not found.has_new_rows


def test_a_deletion_counts_as_new_because_what_it_means_is_not_known_here(lake: Lake) -> None:
    append(lake, "clickstream", 3)
    DeltaTable(lake.uri("bronze", "clickstream")).delete("event_id = '1'")
    [found] = progress(lake, ["clickstream"], {"clickstream": 0})
    assert found.rows is None
    assert found.has_new_rows


def test_a_table_made_anew_counts_from_its_beginning(lake: Lake) -> None:
    append(lake, "clickstream", 3)
    assert progress(lake, ["clickstream"], {"clickstream": 99}) == [
        Progress("clickstream", version=0, rows=3, commits=1)
    ]


def test_commits_that_come_while_one_looks_are_left_for_the_next_look(lake: Lake) -> None:
    class OpenedBeforeTheLastCommit(Lake):
        def open(self, layer: Layer, name: str, version: int | None = None) -> DeltaTable:
            table = Lake.open(self, layer, name, version)
            table.load_as_version(table.version() - 1)
            return table

    for rows in (3, 4, 5):
        append(lake, "clickstream", rows)
    behind = OpenedBeforeTheLastCommit(lake.root)
    assert progress(behind, ["clickstream"], {"clickstream": 0}) == [
        Progress("clickstream", version=1, rows=4, commits=1)
    ]
