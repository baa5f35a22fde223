"""The catalog that BI tools open: always readable and current, replaced only when it must be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lake.errors import LakePathError
from lake.tables import Lake
from serving.catalog import build_catalog, install_extensions

BI_TOOL = """
import duckdb, json, sys
path, folder, last = sys.argv[1], sys.argv[2], int(sys.argv[3])
seen = []
while True:
    with duckdb.connect(path, read_only=True, config={"extension_directory": folder}) as bi:
        for _ in range(3):
            count = bi.execute("select count(*), count(distinct n) from gold.numbers").fetchone()
            seen.append(count)
    print(count[0], flush=True)
    if count[0] >= last:
        break
print(json.dumps(seen))
"""
"""What a BI tool does: opens the file read-only with plain DuckDB, asks, and closes it."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(str(tmp_path / "lake"))
    write_deltalake(made.uri("gold", "numbers"), pa.table({"n": [0]}), description="some numbers")
    return made


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "catalog.duckdb"


@pytest.fixture(scope="module")
def extensions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extensions")
    install_extensions(Lake("unused"), folder)
    return folder


def ask(catalog: Path, extensions: Path, sql: str) -> list[tuple[object, ...]]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "extension_directory": str(extensions)
    }
    with duckdb.connect(str(catalog), read_only=True, config=config) as connection:
        return connection.execute(sql).fetchall()


def test_queries_from_another_process_never_fail_while_tables_and_catalog_change(
    lake: Lake, catalog: Path, extensions: Path
) -> None:
    build_catalog(lake, catalog)
    commits = 40
    with subprocess.Popen(
        [sys.executable, "-c", BI_TOOL, str(catalog), str(extensions), str(commits + 1)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as tool:
        assert tool.stdout is not None
        for n in range(1, commits + 1):
            while n % 10 == 1 and int(tool.stdout.readline()) < n:
                pass  # it has seen what there is so far, and asks again while more comes
            write_deltalake(lake.uri("gold", "numbers"), pa.table({"n": [n]}), mode="append")
            if n % 10 == 0:
                write_deltalake(lake.uri("gold", f"new_{n}"), pa.table({"n": [n]}))
                assert build_catalog(lake, catalog).is_changed
        out, err = tool.communicate(timeout=120)
    assert (tool.returncode, err) == (0, "")
    seen = json.loads(out.splitlines()[-1])
    assert seen == sorted(seen), "a later query saw less than an earlier one"
    assert all(rows == distinct for rows, distinct in seen), "a commit was seen in part or twice"
    assert len({rows for rows, _ in seen}) > 3, "no query ran while the table was written"
    assert seen[-1] == [commits + 1, commits + 1]


def test_new_rows_are_visible_at_once_without_touching_the_file(
    lake: Lake, catalog: Path, extensions: Path
) -> None:
    build_catalog(lake, catalog)
    before = catalog.stat()
    assert ask(catalog, extensions, "select count(*) from gold.numbers") == [(1,)]
    write_deltalake(lake.uri("gold", "numbers"), pa.table({"n": [1]}), mode="append")
    assert ask(catalog, extensions, "select count(*) from gold.numbers") == [(2,)]
    assert not build_catalog(lake, catalog).is_changed
    after = catalog.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_new_and_a_dropped_table_change_the_catalog(
    lake: Lake, catalog: Path, extensions: Path
) -> None:
    assert build_catalog(lake, catalog).is_changed
    write_deltalake(lake.uri("silver", "other"), pa.table({"n": [1]}))
    grown = build_catalog(lake, catalog)
    assert (grown.is_changed, grown.tables) == (True, 2)
    assert ask(catalog, extensions, "select n from silver.other") == [(1,)]
    Path(lake.uri("silver", "other")).rename(catalog.parent / "moved")
    shrunk = build_catalog(lake, catalog)
    assert (shrunk.is_changed, shrunk.tables) == (True, 1)


def test_a_column_added_later_is_seen_without_a_new_catalog(
    lake: Lake, catalog: Path, extensions: Path
) -> None:
    build_catalog(lake, catalog)
    write_deltalake(
        lake.uri("gold", "numbers"),
        pa.table({"n": [1], "label": ["one"]}),
        mode="append",
        schema_mode="merge",
    )
    found = ask(catalog, extensions, "select n, label from gold.numbers order by n")
    assert found == [(0, None), (1, "one")]


def test_a_reader_with_the_old_file_open_goes_on(
    lake: Lake, catalog: Path, extensions: Path
) -> None:
    build_catalog(lake, catalog)
    config: dict[str, str | bool | int | float | list[str]] = {
        "extension_directory": str(extensions)
    }
    with duckdb.connect(str(catalog), read_only=True, config=config) as old:
        write_deltalake(lake.uri("gold", "more"), pa.table({"n": [1]}))
        write_deltalake(lake.uri("gold", "numbers"), pa.table({"n": [1]}), mode="append")
        assert build_catalog(lake, catalog).is_changed
        assert old.execute("select count(*) from gold.numbers").fetchone() == (2,)


def test_the_catalog_holds_views_only_and_their_descriptions(
    lake: Lake, catalog: Path, extensions: Path
) -> None:
    build_catalog(lake, catalog)
    assert ask(catalog, extensions, "select count(*) from duckdb_tables()") == [(0,)]
    sql = "select comment from duckdb_views() where view_name = 'numbers'"
    assert ask(catalog, extensions, sql) == [("some numbers",)]
    assert [p.name for p in catalog.parent.iterdir()] == [catalog.name]


def test_a_broken_table_is_left_out_and_named(lake: Lake, catalog: Path) -> None:
    write_deltalake(lake.uri("gold", "broken"), pa.table({"n": [1]}))
    log = Path(lake.uri("gold", "broken")) / "_delta_log" / "00000000000000000000.json"
    log.write_text("not json\n")
    result = build_catalog(lake, catalog)
    assert result.tables == 1
    assert [line.split(":")[0] for line in result.left_out] == ["gold.broken"]


def test_a_damaged_catalog_is_replaced(lake: Lake, catalog: Path, extensions: Path) -> None:
    catalog.parent.mkdir(parents=True)
    catalog.write_bytes(b"not a database" * 1000)
    assert build_catalog(lake, catalog).is_changed
    assert ask(catalog, extensions, "select n from gold.numbers") == [(0,)]


def test_a_folder_that_cannot_be_made_is_named(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakePathError, match=r"catalog\.duckdb cannot be written"):
        build_catalog(lake, tmp_path / "file" / "catalog.duckdb")
