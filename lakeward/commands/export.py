"""``lakeward export``: a mart as a file, or as a table of PostgreSQL."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

STDOUT = "-"


class ExportFormat(StrEnum):
    """How a file is written."""

    parquet = "parquet"
    csv = "csv"


class Packing(StrEnum):
    """How a file is compressed."""

    none = "none"
    gzip = "gzip"
    zstd = "zstd"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    mart: Annotated[str, typer.Argument(help="A table of gold, for example fct_funnel.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", "-o", metavar="FILE|URL",
            help="A file (.parquet, .csv, .csv.gz, .csv.zst), - for standard output, or "
            "postgresql://user@host/database.",
        ),
    ] = STDOUT,
    output: Annotated[
        ExportFormat | None,
        typer.Option("--format", "-f", help="When the file's name does not say it."),
    ] = None,
    compression: Annotated[
        Packing | None,
        typer.Option(help="When the file's name does not say it. [default: zstd for Parquet]"),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's rows.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="YYYY-MM-DD",
            help="Only from this UTC day on, by the table's first date column.",
        ),
    ] = None,
    before: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Only days before this one."
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Only rows for which it holds: a column, = != < <= > or >=, and a value, for "
            "example 'site_id=ico-001'. Can be repeated.",
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(help="In PostgreSQL: name, or schema.name. [default: the mart's name]"),
    ] = None,
    recreate: Annotated[
        bool,
        typer.Option("--recreate", help="In PostgreSQL: make the table anew, for other columns."),
    ] = False,
) -> None:  # fmt: skip
    """Export a mart to a file, or keep a table of PostgreSQL the same as it.

    A file appears when it is complete. In PostgreSQL the table is made when missing, with types and
    primary key, and rows are inserted, updated or deleted by key in one transaction; with
    conditions, only rows for which they hold.
    """
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import errors
    from lakeward.progress import progress
    from serving.export.files import kind_of, write_file, write_stream
    from serving.export.postgres import is_postgres, load
    from serving.export.selection import parse_condition
    from serving.export.source import open_source
    from serving.mart import load_mart

    found = load_mart(mart)
    with open_source(
        Lake(LakeSettings().root),
        found,
        where=tuple(parse_condition(text) for text in where or ()),
        tenant=tenant,
        since=None if since is None else since.date(),
        before=None if before is None else before.date(),
    ) as source:
        said = f"{found.label} version {source.version}"
        if is_postgres(to):
            with progress("exporting", None, "bytes") as show:
                done = load(
                    source, to, table or found.name, recreate=recreate,
                    on_progress=lambda count, _total: show(count),
                )  # fmt: skip
            said += (
                f" -> {done.table}: {done.rows:,} rows, {done.inserted:,} inserted, "
                f"{done.updated:,} updated, {done.deleted:,} deleted"
                f"{', table made' if done.was_made else ''}"
            )
        else:
            if table is not None or recreate:
                raise typer.BadParameter("--table and --recreate are for PostgreSQL")
            path = None if to == STDOUT else Path(to)
            kind = kind_of(
                path,
                None if output is None else output.value,
                None if compression is None else compression.value,
            )
            if path is None:
                if kind.form == "parquet" and sys.stdout.isatty():
                    raise typer.BadParameter("Parquet is not for a terminal: use --to FILE")
                try:
                    rows = write_stream(source, sys.stdout.buffer, kind)
                except BrokenPipeError:  # whoever reads has had enough
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                    return
            else:
                rows = write_file(source, path, kind)
            said += f" -> {to}: {rows:,} rows"
    errors.print(said, highlight=False, soft_wrap=True, markup=False)
