"""``lakeward reconcile``: the tables against the generator's ledgers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from lake.reconcile import Line

EXIT_DISAGREES = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reconcile)


def reconcile(
    ledgers: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Ledgers to add up. Default: all of <home>/generator.", show_default=""
        ),
    ] = None,
) -> None:
    """Hold bronze, dead letters, silver and gold against what `lakeward generate` sent.

    The lake must hold the events of these runs alone. Exit code 1 when a number differs.
    """
    from ingest.contracts.registry import load_contracts
    from ingest.generator.ledger import Ledger
    from ingest.settings import IngestSettings
    from lake.reconcile import reconcile as compare
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console

    ingest = IngestSettings()
    paths = ledgers or sorted((ingest.home / "generator").glob("ledger-*.json"))
    lines = compare(
        [Ledger.load(path) for path in paths],
        load_contracts(ingest.contracts_dir),
        Lake(LakeSettings().root),
    )
    console.print(_table(lines))
    for line in lines:
        if line.layer == "gold":
            console.print(f"gold: {line.what} {_cell(line)}", highlight=False)
    wrong = [line for line in lines if not line.agrees]
    for line in wrong:
        console.print(
            f"[red]differs:[/] {line.of}, {line.what}: {line.sent:,} sent, {line.found:,} found",
            highlight=False,
        )
    if wrong:
        console.print(f"[red]{len(wrong)} of {len(lines)} numbers differ from the ledger[/]")
        raise typer.Exit(EXIT_DISAGREES)
    console.print(f"[green]all {len(lines)} numbers agree with the ledger[/]", highlight=False)


def _table(lines: Sequence[Line]) -> Table:
    """Return one row for each contract, one column for each number; what differs is in red."""
    from rich import box
    from rich.table import Table

    shown = [line for line in lines if not line.is_detail and line.layer != "gold"]
    numbers = list(dict.fromkeys(line.what for line in shown))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("contract", no_wrap=True)
    for what in numbers:
        table.add_column(what, justify="right")
    for contract in dict.fromkeys(line.of for line in shown):
        cells = {line.what: _cell(line) for line in shown if line.of == contract}
        table.add_row(contract, *(cells.get(what, "") for what in numbers))
    return table


def _cell(line: Line) -> str:
    if line.agrees:
        return f"[green]{line.found:,}[/]"
    return f"[red]{line.found:,} of {line.sent:,}[/]"
