"""A tenant's session reaches its own rows and nothing else, whatever its SQL is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lake.duck import prepare
from lake.errors import QueryError
from lake.query_names import check_names
from lake.read import LakeReader
from lake.tables import Lake
from lake.tenant_share import share_of
from serving.catalog import build_catalog, install_extensions
from tests.object_stores.files import files

ODD = "o'neil & söhne/50%"
ROWS = pa.table(
    {
        "tenant_id": ["acme", "acme2", "globex", ODD, "acme"],
        "day": ["1", "1", "1", "2", "2"],
        "secret": ["mine", "not mine 1", "not mine 2", "not mine 3", "mine too"],
    }
)


@pytest.fixture(scope="module")
def lake(make_lake: Callable[[], Lake]) -> Lake:
    made = make_lake()
    options = made.storage_options
    for layer in ("silver", "gold"):
        write_deltalake(
            f"{made.root}/{layer}/events",
            ROWS,
            partition_by=["tenant_id", "day"],
            storage_options=options,
        )
    for label in ("bronze/clicks", "silver/rejected", "ops/erasures"):
        write_deltalake(f"{made.root}/{label}", ROWS, storage_options=options)
    with files(made).open_output_stream("note.txt") as out:
        out.write(b"not mine")
    return made


@pytest.fixture(scope="module")
def session(lake: Lake) -> Iterator[LakeReader]:
    with LakeReader(lake, share=share_of(lake, "acme")) as reader:
        yield reader


def ask(lake: Lake, sql: str, tenant_id: str) -> str:
    with LakeReader(lake, share=share_of(lake, tenant_id)) as reader:
        return str(reader.table(sql).to_pylist())


def other_file(lake: Lake) -> str:
    uris = lake.open("silver", "events").file_uris()
    (other,) = (uri for uri in uris if "tenant_id=globex" in uri)
    return other.removeprefix("file://")


def test_a_tenant_sees_its_rows_and_the_tables_that_have_some(
    lake: Lake, session: LakeReader
) -> None:
    mine = session.table("select secret from silver.events order by all")
    assert mine["secret"].to_pylist() == ["mine", "mine too"]
    assert session.table("from gold.events where day = '2'").num_rows == 1
    assert session.table("show all tables")["name"].to_pylist() == ["events", "events"]
    assert ask(lake, "select secret from gold.events", ODD) == "[{'secret': 'not mine 3'}]"


def test_a_tenant_without_rows_sees_empty_tables(lake: Lake) -> None:
    share = share_of(lake, "nobody")
    assert not share.has_rows
    assert ask(lake, "from silver.events", "nobody") == "[]"


def test_a_name_that_is_sql_or_a_placeholder_is_a_name(lake: Lake) -> None:
    for name in ("x' or '1'='1", "{}", "../globex"):
        assert ask(lake, "from silver.events", name) == "[]"


ATTEMPTS = [
    "select * from silver.events where tenant_id = 'globex' or true",
    "select e.secret from silver.events as e right join gold.events using (day)",
    "from bronze.clicks",
    "from silver.rejected",
    "from ops.erasures",
    "from delta_scan('{root}/silver/events')",
    "select tenant_id from delta_scan('{root}/silver/events')",
    "select count(*) from delta_scan('{root}/bronze/clicks')",
    "explain analyze from delta_scan('{root}/silver/events')",
    "from delta_list_files('{root}/silver/events')",
    "from read_parquet('{other}')",
    "from '{other}'",
    'from "{other}"',
    "from read_parquet('{root}/silver/events/**/*.parquet')",
    "from read_parquet('{root}/silver/events/tenant_id=acme/../tenant_id=globex/*/*.parquet')",
    "from parquet_metadata('{other}')",
    "from glob('{root}/**')",
    "from read_text('{root}/note.txt')",
    "from read_blob('{root}/silver/events/_delta_log/00000000000000000000.json')",
    "with x as (from read_text('{root}/note.txt')) from x",
    "select (select content from read_text('{root}/note.txt'))",
    "select * from silver.events where exists (from read_text('{root}/note.txt'))",
    "describe from delta_scan('{root}/silver/events')",
    "summarize from read_parquet('{other}')",
    "from query('from read_text(''{root}/note.txt'')')",
    "from query_table('bronze.clicks')",
    "from json_execute_serialized_sql(json_serialize_sql('from bronze.clicks'))",
    "from duckdb_settings()",
    "from duckdb_secrets()",
    "select getenv('HOME')",
    "attach '{root}/x.duckdb'",
    "copy (from silver.events) to '{root}/gold/out.csv'",
    "create or replace view silver.events as from delta_scan('{root}/silver/events')",
    "drop view silver.events",
    "set enable_external_access = true",
    "set allowed_directories = ['/']",
    "pragma enable_profiling",
    "install httpfs",
    "load httpfs",
    "select 1; from bronze.clicks",
    "pivot read_parquet('{other}') on day using count(*)",
    "pivot (from read_parquet('{other}')) on day in ('1') using count(*)",
    "call pragma_version()",
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_no_way_leads_to_another_tenants_rows(
    lake: Lake, session: LakeReader, attempt: str
) -> None:
    sql = attempt.replace("{root}", lake.root).replace("{other}", other_file(lake))
    try:
        found = str(session.table(sql).to_pylist())
    except QueryError as error:
        found = error.message + str(error.hint)
        for name in ("globex", "acme2", "part-"):
            assert name not in found.replace(sql, "")
    assert "not mine" not in found


@pytest.mark.parametrize(
    "attempt", [a for a in ATTEMPTS if "read_" in a or "delta_" in a or "'{other}'" in a]
)
def test_the_doors_hold_without_the_check_of_names(
    lake: Lake, session: LakeReader, attempt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lake.read.check_names", lambda sql: None)  # noqa: ARG005
    sql = attempt.replace("{root}", lake.root).replace("{other}", other_file(lake))
    try:
        assert "not mine" not in str(session.table(sql).to_pylist())
    except QueryError:
        return


def test_a_link_inside_the_tenants_folder_leads_nowhere(lake: Lake, session: LakeReader) -> None:
    if lake.is_remote:
        return  # an object store has no links
    events = Path(lake.root) / "silver" / "events"
    link = events / "tenant_id=acme" / "link"
    os.symlink(events, link)
    other = f"{link}/{Path(other_file(lake)).relative_to(events)}"
    try:
        with pytest.raises(duckdb.PermissionException):
            session._connection.execute(f"from read_parquet('{other}')")
    finally:
        link.unlink()


@pytest.mark.parametrize(
    "sql",
    [
        "select unnest([1, 2]) from silver.events, range(3)",
        "with a as (from silver.events) select * from a join gold.events using (day)",
        "summarize gold.events",
        "pivot silver.events on day in ('1', '2') using count(*)",
    ],
)
def test_what_an_analyst_writes_is_let_in(sql: str) -> None:
    check_names(sql)


def test_a_tenants_catalog_shows_its_rows_only(lake: Lake, tmp_path: Path) -> None:
    extensions = tmp_path / "extensions"
    install_extensions(lake, extensions)
    views = build_catalog(lake, tmp_path / "views.duckdb", share_of(lake, "acme"))
    copy = build_catalog(lake, tmp_path / "copy.duckdb", share_of(lake, "acme"), copy=True)
    assert views.left_out == copy.left_out
    assert "silver.rejected" in views.left_out[0]
    for path, config in ((views.path, {"extension_directory": str(extensions)}), (copy.path, {})):
        with duckdb.connect(str(path), read_only=True, config=config) as tool:  # type: ignore[arg-type]
            if lake.is_remote and path == views.path:
                prepare(tool, lake)  # the catalog holds no credentials
            found = tool.execute("select secret from gold.events order by 1").fetchall()
            assert found == [("mine",), ("mine too",)]
            tables = tool.execute("select table_name from information_schema.tables").fetchall()
            assert sorted(tables) == [("events",), ("events",)]
    assert not build_catalog(lake, tmp_path / "views.duckdb", share_of(lake, "acme")).is_changed


def test_a_copy_holds_no_byte_of_others(lake: Lake, tmp_path: Path) -> None:
    copy = build_catalog(lake, tmp_path / "copy.duckdb", share_of(lake, "acme"), copy=True).path
    content = copy.read_bytes()
    assert b"mine too" in content
    for other in (b"not mine", b"globex", b"acme2", lake.root.encode()):
        assert other not in content
