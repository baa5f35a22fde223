"""``lakeward query``: ask the lake in SQL."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Annotated

import typer

from lakeward.rows import Format

TABLE_ROWS = 100


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(query)


def query(
    sql: Annotated[
        str, typer.Argument(help="One SELECT in DuckDB's SQL; - reads it from standard input.")
    ],
    output: Annotated[
        Format, typer.Option("--format", "-f", help="How to write the rows.")
    ] = Format.table,
    as_of: Annotated[
        list[str] | None,
        typer.Option(
            help="See the tables as they were: a moment (2026-03-01T12:00:00Z; UTC unless it says "
            "otherwise), or LAYER.TABLE=VERSION, which can be repeated."
        ),
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(help="See only this tenant's rows of silver and gold; nothing else opens."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0, help=f"At most so many rows; 0 means all. [default: {TABLE_ROWS} as a table]"
        ),
    ] = None,
) -> None:
    """Ask the lake in SQL, read-only.

    Tables are named <layer>.<table>, for example gold.fct_funnel; `lakeward tables` lists them.
    """
    from lake.as_of import parse_as_of
    from lake.inventory import require_tables
    from lake.read import LakeReader
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console, errors
    from lakeward.rows import write_csv, write_json, write_table
    from lakeward.tenant import share_for

    text = sys.stdin.read() if sql == "-" else sql
    if limit is None:
        limit = TABLE_ROWS if output is Format.table else 0
    lake = Lake(LakeSettings().root)
    require_tables(lake)
    share = None if tenant is None else share_for(lake, tenant)
    with LakeReader(lake, parse_as_of(as_of or []), share) as reader:
        columns = reader.columns(text)
        rows = reader.rows()
        shown = islice(rows, limit) if limit else rows
        if output is Format.csv:
            write_csv(sys.stdout, columns, shown)
        elif output is Format.json:
            write_json(sys.stdout, columns, shown)
        else:
            write_table(console, columns, shown)
        if limit and next(rows, None) is not None:
            errors.print(f"the first {limit} rows; --limit 0 shows all", style="dim")
