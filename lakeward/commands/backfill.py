"""``lakeward backfill``: some days of silver and gold again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backfill)


def backfill(
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, UTC.")
    ],
    last: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, UTC, inclusive.")
    ],
    select: Annotated[
        list[str] | None,
        typer.Option("--select", "-s", help="Only these models, in dbt's words, e.g. gold."),
    ] = None,
    target: Annotated[str, typer.Option(help="prod or dev.")] = "prod",
) -> None:
    """Compute the days from FROM to TO again, from bronze, and nothing outside of them.

    Only partitions whose rows come out different are replaced, so running it twice changes
    nothing. How far each table has read is left as it is.
    """
    from lake.dbt_run import backfill_args
    from lakeward.build_report import build_and_report

    days = backfill_args(first.replace(tzinfo=UTC).date(), last.replace(tzinfo=UTC).date())
    args = ["run", *days]
    if select:
        args += ["--select", *select]
    if not build_and_report(args, target=target):
        raise typer.Exit(1)
