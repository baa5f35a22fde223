"""A mart as a file and as a table of PostgreSQL is the mart, or the part that was asked for."""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from lake.tables import Lake
from serving.errors import ExportError
from serving.export.files import kind_of, write_file
from serving.export.postgres import Loaded, load
from serving.export.selection import parse_condition
from serving.export.source import open_source
from tests.databases.postgres import Postgres
from tests.serving.published import MART, SCHEMA, TENANTS, Table, as_told

DAYS = [date(2026, 3, 1), date(2026, 3, 2)]
NUMBERS = count(1)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Two tenants, two days, no null in the key."""
    made = Table(Lake(str(tmp_path / "lake")))
    for tenant in TENANTS:
        for day in DAYS:
            fill(made, tenant, day)
    return made


@pytest.fixture
def database(postgres: Postgres) -> Iterator[psycopg.Connection[Any]]:
    url = postgres.make_database(f"marts_{next(NUMBERS)}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set timezone = 'Asia/Kolkata'")
        connection.execute("create table mine (n int)")
        yield connection


def fill(table: Table, tenant: str, day: date, rows: int = 4) -> None:
    found = table.fill(tenant, day, rows)
    table.overwrite(
        tenant, day, [{**row, "campaign_id": row["campaign_id"] or ""} for row in found]
    )


def url(database: psycopg.Connection[Any]) -> str:
    info = database.info
    return f"postgresql://{info.user}@/{info.dbname}?host={info.host}"


def put(
    table: Table, database: psycopg.Connection[Any], name: str = "fct_spend", **how: Any
) -> Any:
    again = {"recreate": how.pop("recreate", False)}
    with open_source(table.lake, MART, **how) as source:
        return load(source, url(database), name, **again)


def held(database: psycopg.Connection[Any], name: str = "fct_spend") -> list[Any]:
    columns = ", ".join(SCHEMA.names)
    return sorted(database.execute(f"select {columns} from {name}").fetchall(), key=repr)


def rows(table: Table) -> list[Any]:
    found = table.open().to_pyarrow_table().to_pylist()
    return sorted((tuple(row[name] for name in SCHEMA.names) for row in found), key=repr)


def same(left: list[Any], right: list[Any]) -> bool:
    """Compare rows whose times may be told in different zones."""

    def plain(found: list[Any]) -> list[Any]:
        return sorted([tuple(as_utc(value) for value in row) for row in found], key=repr)

    return plain(left) == plain(right)


def as_utc(value: Any) -> Any:
    return value.timestamp() if hasattr(value, "timestamp") else value


def test_postgres_has_the_mart_through_changes_and_only_changes_are_written(
    table: Table, database: psycopg.Connection[Any]
) -> None:
    done = put(table, database)
    size = len(rows(table))
    assert done == Loaded("fct_spend", size, size, 0, 0, True)
    assert same(held(database), rows(table))
    described = dict(
        database.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = 'fct_spend'::regclass and attnum > 0"
        ).fetchall()
    )
    assert described["spend_usd"] == "numeric(18,4)"
    assert described["window_start"] == "timestamp with time zone"
    assert put(table, database) == Loaded("fct_spend", size, 0, 0, 0, False)

    before = {row[:4]: row for row in rows(table)}
    fill(table, "acme", DAYS[0], 6)
    table.overwrite(TENANTS[1], DAYS[1], [])
    after = {row[:4]: row for row in rows(table)}
    done = put(table, database)
    assert same(held(database), rows(table))
    assert done.inserted == len(after.keys() - before.keys())
    assert done.deleted == len(before.keys() - after.keys())
    assert done.updated == sum(before[key] != after[key] for key in before.keys() & after.keys())
    assert done.updated > 0


def test_a_part_of_the_mart_leaves_the_other_rows_alone(
    table: Table, database: psycopg.Connection[Any]
) -> None:
    put(table, database, "other.spend")
    for tenant in TENANTS:
        for day in DAYS:
            table.overwrite(tenant, day, [])
    done = put(table, database, "other.spend", tenant=TENANTS[1], since=DAYS[1])
    assert (done.rows, done.deleted > 0) == (0, True)
    left = {row[:2] for row in held(database, "other.spend")}
    assert left == {("acme", DAYS[0]), ("acme", DAYS[1]), (TENANTS[1], DAYS[0])}
    put(table, database, "other.spend", before=DAYS[1])
    assert {row[:2] for row in held(database, "other.spend")} == {("acme", DAYS[1])}
    put(table, database, "other.spend", where=(parse_condition("tenant_id>=a"),))
    assert held(database, "other.spend") == []


def test_what_cannot_be_exported_to_postgres_changes_nothing(
    table: Table, database: psycopg.Connection[Any]
) -> None:
    with pytest.raises(ExportError, match=r"mine is not an export of gold.fct_spend"):
        put(table, database, "mine")
    put(table, database)
    before = held(database)
    fill(table, "acme", DAYS[0])
    database.execute("alter table fct_spend alter click_count type integer using 0")
    with pytest.raises(ExportError, match=r"other columns or another key .*click_count"):
        put(table, database)
    assert put(table, database, recreate=True).was_made
    assert same(held(database), rows(table))
    assert not same(held(database), before)
    table.overwrite("acme", DAYS[1], table.fill("acme", DAYS[1], 9))
    now = held(database)
    with pytest.raises(ExportError, match="without a value in its key"):
        put(table, database)
    assert held(database) == now
    with (
        open_source(table.lake, MART) as source,
        pytest.raises(ExportError, match="cannot be used"),
    ):
        load(source, "postgresql://nobody:secret@127.0.0.1:1/nowhere", "fct_spend")


def test_a_file_has_the_selected_rows_whatever_its_kind(table: Table, tmp_path: Path) -> None:
    wanted = [row for row in rows(table) if row[0] == TENANTS[1] and row[1] == DAYS[0]]
    with open_source(table.lake, MART, tenant=TENANTS[1], before=DAYS[1]) as source:
        parquet, packed = tmp_path / "new" / "spend.parquet", tmp_path / "spend.csv.gz"
        assert write_file(source, parquet, kind_of(parquet)) == len(wanted)
        found = pq.read_table(parquet)
        assert same([tuple(row[n] for n in SCHEMA.names) for row in found.to_pylist()], wanted)
        assert found.schema.field("spend_usd").type == SCHEMA.field("spend_usd").type
        write_file(source, packed, kind_of(packed))
    with gzip.open(packed, "rt", encoding="utf-8", newline="") as text:
        told = list(csv.reader(text))
    assert told[0] == SCHEMA.names
    expected = [["" if v is None else str(as_told(v)) for v in row] for row in wanted]
    lowered = [[v.lower() if v in ("True", "False") else v for v in row] for row in expected]
    floats = SCHEMA.names.index("ctr")
    for line in (*told[1:], *lowered):
        line[floats] = line[floats] and repr(float(line[floats]))
    assert sorted(told[1:]) == sorted(lowered)
    assert list(tmp_path.glob("**/.*part")) == []


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("site", "is no condition"),
        ("nowhere=1", "no column 'nowhere'"),
        ("click_count=many", "cannot be read"),
    ],
)
def test_a_wrong_condition_says_what_is_wrong(table: Table, condition: str, says: str) -> None:
    with (
        pytest.raises(ExportError, match=says),
        open_source(table.lake, MART, where=(parse_condition(condition),)) as source,
    ):
        write_file(source, Path(table.lake.root) / "never.csv", kind_of(Path("never.csv")))
    assert not (Path(table.lake.root) / "never.csv").exists()


def test_a_value_is_never_sql(table: Table, tmp_path: Path) -> None:
    wicked = parse_condition("campaign_id='' or true or campaign_id = '")
    with open_source(table.lake, MART, where=(wicked,)) as source:
        assert write_file(source, tmp_path / "none.csv", kind_of(tmp_path / "none.csv")) == 0


def test_the_command_writes_csv_to_standard_output_or_says_what_is_wrong(
    table: Table, tmp_path: Path
) -> None:
    sites = pa.table({"tenant_id": ["acme", "globex"], "site_id": ["ico-002", ""], "n": [None, 1]})
    write_deltalake(table.lake.uri("gold", "dim_sites"), sites)
    write_deltalake(table.lake.uri("gold", "fct_geo"), pa.table({"tenant_id": ["acme"]}))

    def lakeward(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lakeward", "export", *arguments],
            env={**os.environ, "LAKEWARD_HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    done = lakeward("gold.dim_sites")
    assert done.stdout == 'tenant_id,site_id,n\nacme,ico-002,\nglobex,"",1\n'
    assert done.stderr == "gold.dim_sites version 0 -> -: 2 rows\n"
    for arguments, says in (
        (("fct_geo",), "no column geo_date, which its key names"),
        (("dim_sites", "--to", "sites.txt"), "does not say what it is to be"),
    ):
        wrong = lakeward(*arguments)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert says in wrong.stderr
