"""Reading the lake in SQL: what is seen, at which version, and what is refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lake.as_of import AtTime, AtVersions, parse_as_of
from lake.duck import connect, extension_file
from lake.errors import LakePathError, QueryError
from lake.inventory import TableFacts, Unreadable, inventory
from lake.read import LakeReader, check_is_query
from lake.tables import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(str(tmp_path / "lake"))
    write_deltalake(made.uri("gold", "numbers"), pa.table({"n": [1, 2]}))
    return made


def append(lake: Lake, values: list[int]) -> None:
    write_deltalake(lake.uri("gold", "numbers"), pa.table({"n": values}), mode="append")


def numbers(lake: Lake, *as_of: str) -> list[int]:
    with LakeReader(lake, parse_as_of(as_of)) as reader:
        found: list[int] = reader.table("select n from gold.numbers order by n")["n"].to_pylist()
        return found


def test_a_file_beside_the_tables_is_none_of_them(lake: Lake) -> None:
    (Path(lake.root) / "gold" / ".DS_Store").write_bytes(b"made by a file manager")
    assert lake.names("gold") == ["numbers"]


def test_the_extension_comes_from_the_installed_wheel() -> None:
    assert extension_file("delta") is not None
    assert extension_file("httpfs") is not None
    assert extension_file("no_such_extension") is None


def test_a_connection_speaks_utc(lake: Lake) -> None:
    row = connect(lake).execute("select timestamptz '2026-01-01 10:00'").fetchone()
    assert row is not None
    assert row[0] == datetime(2026, 1, 1, 10, tzinfo=UTC)


def test_an_open_session_sees_each_new_commit(lake: Lake) -> None:
    with LakeReader(lake) as reader:
        assert reader.table("select count(*) c from gold.numbers")["c"].to_pylist() == [2]
        append(lake, [3])
        assert reader.table("select count(*) c from gold.numbers")["c"].to_pylist() == [3]


def test_a_version_shows_the_table_as_it_was(lake: Lake) -> None:
    append(lake, [3])
    assert numbers(lake, "gold.numbers=0") == [1, 2]
    assert numbers(lake, "gold.numbers=1") == [1, 2, 3]
    assert numbers(lake) == [1, 2, 3]


def test_a_moment_shows_the_last_version_committed_by_then(lake: Lake) -> None:
    time.sleep(0.02)
    between = datetime.now(tz=UTC)
    time.sleep(0.02)
    append(lake, [3])
    assert numbers(lake, between.isoformat()) == [1, 2]
    assert numbers(lake, (between + timedelta(minutes=1)).isoformat()) == [1, 2, 3]


def test_a_moment_before_the_table_says_that_it_was_not_there(lake: Lake) -> None:
    with pytest.raises(QueryError) as caught:
        numbers(lake, "2001-01-01")
    assert "was not there at 2001-01-01T00:00:00+00:00" in str(caught.value)


def test_a_version_that_is_not_there_is_named(lake: Lake) -> None:
    with pytest.raises(QueryError, match="its newest version is 0, not 7"):
        numbers(lake, "gold.numbers=7")


def test_as_of_reads_moments_as_utc_and_versions_by_table() -> None:
    assert parse_as_of(["2026-03-01"]) == AtTime(datetime(2026, 3, 1, tzinfo=UTC))
    moment = parse_as_of(["2026-03-01T12:00:00+02:00"])
    assert isinstance(moment, AtTime)
    assert moment.moment == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert parse_as_of(["gold.a=0", "silver.b=7"]) == AtVersions(
        (("gold", "a", 0), ("silver", "b", 7))
    )


@pytest.mark.parametrize(
    "texts", [["yesterday"], ["gold.a=1", "2026-03-01"], ["lead.a=1"], ["2026-03-01", "2026-03-02"]]
)
def test_a_wrong_as_of_is_refused(texts: list[str]) -> None:
    with pytest.raises(QueryError, match="--as-of"):
        parse_as_of(texts)


@pytest.mark.parametrize(
    "sql",
    [
        "drop view gold.numbers",
        "create table t as select 1",
        "insert into gold.numbers values (9)",
        "attach 'x.duckdb'",
        "set threads = 1",
        "install httpfs",
        "export database 'x'",
        "copy gold.numbers to 'x.csv'",
        "explain analyze copy gold.numbers to 'x.csv'",
        "explain (format json) create table t as select 1",
        "/* hidden */ explain analyze copy gold.numbers to 'x.csv'",
        "select 1; drop view gold.numbers",
        "call pragma_version()",
        "",
        "-- nothing",
        "selec 1",
    ],
)
def test_anything_but_one_query_is_refused(sql: str) -> None:
    with pytest.raises(QueryError):
        check_is_query(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select n from gold.numbers",
        "from gold.numbers",
        "with x as (from gold.numbers) from x",
        "describe gold.numbers",
        "summarize gold.numbers",
        "show all tables",
        "explain select 1",
        "explain analyze select 1",
        "pivot gold.numbers on n using count(*)",
        "values (1)",
    ],
)
def test_a_query_in_any_form_is_answered(lake: Lake, sql: str) -> None:
    with LakeReader(lake) as reader:
        assert reader.table(sql).num_rows > 0


def test_a_copy_into_the_lake_writes_no_file(lake: Lake) -> None:
    target = Path(lake.root) / "out.csv"
    with LakeReader(lake) as reader, pytest.raises(QueryError, match="COPY is not a query"):
        reader.table(f"copy (select 1) to '{target}'")
    assert not target.exists()


@pytest.mark.parametrize("function", ["read_csv", "read_text", "read_parquet", "glob"])
def test_files_outside_the_lake_cannot_be_read(lake: Lake, tmp_path: Path, function: str) -> None:
    outside = tmp_path / "secret.csv"
    outside.write_text("a\n1\n")
    with LakeReader(lake) as reader:
        for path in (outside, Path(lake.root) / ".." / outside.name):
            with pytest.raises(QueryError, match="file system operations are disabled"):
                reader.table(f"from {function}('{path}')")


def test_a_delta_table_outside_the_lake_cannot_be_read(lake: Lake, tmp_path: Path) -> None:
    write_deltalake(tmp_path / "other", pa.table({"n": [1]}))
    with LakeReader(lake) as reader, pytest.raises(QueryError, match="disabled"):
        reader.table(f"from delta_scan('{tmp_path / 'other'}')")


def test_variables_of_the_program_are_not_tables(lake: Lake) -> None:
    secret = pa.table({"n": [1]})
    assert secret.num_rows == 1
    with LakeReader(lake) as reader, pytest.raises(QueryError, match="secret does not exist"):
        reader.table("from secret")


def test_an_unknown_table_is_named_with_a_way_to_find_the_right_one(lake: Lake) -> None:
    with LakeReader(lake) as reader, pytest.raises(QueryError) as caught:
        reader.table("from gold.nmbers")
    assert "nmbers" in caught.value.message
    assert "lakeward tables" in str(caught.value.hint)


def test_a_broken_table_does_not_hide_the_others(lake: Lake) -> None:
    write_deltalake(lake.uri("gold", "broken"), pa.table({"n": [1]}))
    log = Path(lake.uri("gold", "broken")) / "_delta_log" / "00000000000000000000.json"
    log.write_text("not json\n")
    assert numbers(lake) == [1, 2]
    with LakeReader(lake) as reader, pytest.raises(QueryError) as caught:
        reader.table("from gold.broken")
    assert "gold.broken is left out" in str(caught.value.hint)
    kinds = {one.name: type(one) for one in inventory(lake)}
    assert kinds == {"broken": Unreadable, "numbers": TableFacts}


def test_an_empty_lake_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(LakePathError, match="no tables"):
        LakeReader(Lake(str(tmp_path / "nothing")))


def test_the_inventory_counts_rows_files_and_versions(lake: Lake) -> None:
    append(lake, [3, 4])
    (found,) = inventory(lake, "gold")
    assert isinstance(found, TableFacts)
    assert (found.name, found.rows, found.files, found.version) == ("numbers", 4, 2, 1)
    stored = sum(p.stat().st_size for p in Path(lake.uri("gold", "numbers")).glob("*.parquet"))
    assert found.size_bytes == stored
    assert found.changed_at is not None
    assert abs(datetime.now(tz=UTC) - found.changed_at) < timedelta(hours=1)


def test_rows_stream_in_order_without_a_full_copy(lake: Lake) -> None:
    with LakeReader(lake) as reader:
        assert reader.columns("select range as r from range(50000)") == ["r"]
        rows = reader.rows()
        assert [next(rows), next(rows)] == [(0,), (1,)]
        assert sum(1 for _ in rows) == 49_998
