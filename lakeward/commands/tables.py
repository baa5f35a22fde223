"""``lakeward tables``: what the lake holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from lake.inventory import TableFacts


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tables)


def tables(
    layer: Annotated[
        str | None, typer.Option(help="Only this layer: bronze, silver, gold or ops.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")] = False,
) -> None:
    """List the lake's tables: rows, size, files, Delta version and last change."""
    from datetime import UTC, datetime

    from rich import box
    from rich.filesize import decimal
    from rich.table import Table

    from lake.inventory import TableFacts, Unreadable, inventory, require_tables
    from lake.settings import LakeSettings
    from lake.tables import LAYERS, Lake
    from lakeward.console import console, errors

    wanted = [known for known in LAYERS if layer in (None, known)]
    if not wanted:
        raise typer.BadParameter(f"{layer!r} is none of {', '.join(LAYERS)}", param_hint="--layer")
    lake = Lake(LakeSettings().root)
    require_tables(lake)
    now = datetime.now(tz=UTC)
    found = list(inventory(lake, *wanted))
    if as_json:
        console.print_json(
            data=[_as_json(one, now) for one in found if isinstance(one, TableFacts)]
        )
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("table")
        for name in ("rows", "size", "files", "version", "changed"):
            table.add_column(name, justify="right")
        for one in found:
            if isinstance(one, TableFacts):
                table.add_row(
                    f"{one.layer}.{one.name}",
                    "?" if one.rows is None else f"{one.rows:,}",
                    decimal(one.size_bytes),
                    f"{one.files:,}",
                    f"{one.version:,}",
                    "?" if one.changed_at is None else f"{_ago(now, one.changed_at)} ago",
                )
        console.print(table)
    for one in found:
        if isinstance(one, Unreadable):
            errors.print(f"{one.layer}.{one.name} cannot be read: {one.reason}", style="yellow")


def _as_json(one: TableFacts, now: datetime) -> dict[str, Any]:
    changed = one.changed_at
    return {
        "layer": one.layer,
        "name": one.name,
        "version": one.version,
        "rows": one.rows,
        "size_bytes": one.size_bytes,
        "files": one.files,
        "changed_at": None if changed is None else changed.isoformat(),
        "seconds_since_change": None if changed is None else (now - changed).total_seconds(),
        "operation": one.operation,
        "description": one.description,
    }


def _ago(now: datetime, then: datetime) -> str:
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
