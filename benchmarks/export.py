"""What ``lakeward export`` costs: a mart as Parquet, as CSV, and as a table of PostgreSQL.

Files are held against DuckDB's ``COPY`` of the table in the same order and without one; lakeward
writes them in the order of the key. PostgreSQL is a real one here, without ``fsync`` for both
sides: a first export, one with nothing changed and one with a few changed rows, beside the
usual loader, which writes each row by psycopg's ``COPY FROM`` into a new table with the same
primary key, all of them each time. What was done is checked after each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import psycopg

from benchmarks import report
from benchmarks.report import Figure
from benchmarks.rig.campaign_table import IN_A_BUCKET, CampaignTable
from benchmarks.rig.progress import say
from benchmarks.rig.timed import Took, timed
from lake.duck import connect, delta_scan, quote_text
from lake.tables import Lake
from serving.export.files import kind_of, write_file
from serving.export.postgres import Loaded, load
from serving.export.source import open_source
from tests.databases.postgres import Postgres

ENDINGS: Final = {"Parquet": ".parquet", "CSV": ".csv"}


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as scratch:
        folder = Path(scratch)
        buckets = max(1, asked.rows // IN_A_BUCKET)
        table = CampaignTable(Lake(str(folder / "lake")), buckets)
        table.write()
        say(f"a table of {table.rows:,} rows")
        figures = [
            figure
            for name, ending in ENDINGS.items()
            for figure in _files(table, name, folder / f"mart{ending}", asked.rounds)
        ]
        with Postgres() as server:
            figures += _postgres(table, server, asked.changed, asked.rounds)
    report.publish("export", figures)


def _files(table: CampaignTable, name: str, path: Path, rounds: int) -> list[Figure]:
    """Write the file by lakeward and by DuckDB, in turns."""
    scan = delta_scan(table.lake.uri("gold", table.mart.name))
    options = "format parquet, compression zstd" if name == "Parquet" else "format csv, header"
    order = f"order by {', '.join(table.mart.key)}"

    def export() -> int:
        with open_source(table.lake, table.mart) as source:
            return write_file(source, path, kind_of(path))

    def copy(ordered: str) -> Callable[[], int]:
        def run() -> int:
            with connect(table.lake) as connection:
                sql = f"copy (from {scan} {ordered}) to {quote_text(str(path))} ({options})"
                row = connection.execute(sql).fetchone()
            assert row is not None
            return int(row[0])

        return run

    works = {"ours": export, "copy": copy(order), "unordered": copy("")}
    took: dict[str, list[Took]] = {kind: [] for kind in works}
    for _ in range(rounds):
        for kind, work in works.items():
            rows, one = timed(work)
            assert rows == table.rows, (kind, rows)
            took[kind].append(one)
    say(f"{name}: {table.rows / _wall(took['ours']):,.0f} rows/s")
    return [
        Figure(f"{name}, {table.rows:,} rows", table.rows / _wall(took["ours"]), "rows/s"),
        Figure("DuckDB's COPY in the same order", table.rows / _wall(took["copy"]), "rows/s"),
        Figure("DuckDB's COPY without order", table.rows / _wall(took["unordered"]), "rows/s"),
        Figure(f"{name}: CPU time against COPY", _cpu(took["ours"]) / _cpu(took["copy"]), "x"),
    ]


def _postgres(table: CampaignTable, server: Postgres, changed: int, rounds: int) -> list[Figure]:
    """Load the table by lakeward and in the usual way, in turns."""
    took: dict[str, list[Took]] = {"first": [], "plain": [], "nothing": [], "changed": []}
    for round_ in range(rounds):
        url = server.make_database(f"round_{round_}")
        first = _export(table, url, took["first"])
        assert (first.inserted, first.updated, first.deleted) == (table.rows, 0, 0), first
        count, plain = timed(lambda url=url: _plainly(table, url))  # type: ignore[misc]
        assert count == table.rows
        took["plain"].append(plain)
        same = _export(table, url, took["nothing"])
        assert (same.inserted, same.updated, same.deleted) == (0, 0, 0), same
        table.change(changed)
        few = _export(table, url, took["changed"])
        assert (few.inserted, few.deleted, few.updated) == (0, 0, changed), few
        say(f"PostgreSQL, round {round_ + 1}: {table.rows / took['first'][-1].wall:,.0f} rows/s")
    rows = table.rows
    return [
        Figure(f"PostgreSQL, first export of {rows:,} rows", rows / _wall(took["first"]), "rows/s"),
        Figure("psycopg's COPY FROM, a row at a time", rows / _wall(took["plain"]), "rows/s"),
        Figure("lakeward against it", _wall(took["plain"]) / _wall(took["first"]), "x", 1.0),
        Figure(f"PostgreSQL, nothing changed in {rows:,}", _wall(took["nothing"]), "s"),
        Figure(f"PostgreSQL, {changed:,} changed rows in {rows:,}", _wall(took["changed"]), "s"),
        Figure("psycopg's COPY FROM, all of it again", _wall(took["plain"]), "s"),
    ]


def _export(table: CampaignTable, url: str, took: list[Took]) -> Loaded:
    def work() -> Loaded:
        with open_source(table.lake, table.mart) as source:
            return load(source, url, "mart")

    done, one = timed(work)
    took.append(one)
    return done


def _plainly(table: CampaignTable, url: str) -> int:
    """Make a table anew and write each row, as one does it by hand; return how many they were."""
    schema = "tenant_id text, metric_date date, window_start timestamptz, campaign_id text, "
    schema += "channel text, impression_count bigint, click_count bigint, conversion_count bigint, "
    schema += "spend_usd numeric(18, 4), ctr double precision, cpc_usd numeric(18, 4), "
    schema += "cpa_usd numeric(18, 4), conversion_rate double precision"
    with psycopg.connect(url) as connection:
        connection.execute("drop table if exists plain")
        key = ", ".join(table.mart.key)
        connection.execute(f"create table plain ({schema}, primary key ({key}))")  # type: ignore[arg-type]
        with connection.cursor() as cursor, cursor.copy("copy plain from stdin") as copy:
            for batch in table.lake.open("gold", table.mart.name).to_pyarrow_dataset().to_batches():
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    copy.write_row(row)
        found: Any = connection.execute("select count(*) from plain").fetchone()
        return int(found[0])


def _wall(found: list[Took]) -> float:
    return median(one.wall for one in found)


def _cpu(found: list[Took]) -> float:
    return median(one.cpu for one in found)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks export")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the mart [1000000]")
    parser.add_argument("--changed", type=int, default=100, help="rows of an increment [100]")
    parser.add_argument("--rounds", type=int, default=3, help="[3]")
    return parser.parse_args(sys.argv[1:])
