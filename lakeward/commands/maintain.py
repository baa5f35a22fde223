"""``lakeward maintain``: keep the tables small, quick to open and free of leftovers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.maintenance.run import Maintained, Step, Table

EXIT_INCOMPLETE = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(maintain)


def maintain(
    tables: Annotated[
        list[str] | None,
        typer.Option("--tables", "-t", help="Only these: bronze, silver.stg_clickstream, ..."),
    ] = None,
    steps: Annotated[
        list[str] | None,
        typer.Option("--steps", help="Only these: compact, fold, checkpoint, vacuum, clean."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done; change nothing.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Vacuum a bronze table even while rows of it are missing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Merge small files, make checkpoints, delete what nobody needs any more, shorten the logs.

    Safe at any time, beside the writer, builds and readers, and safe to stop anywhere. How long old
    files and versions are kept is set by LAKEWARD_VACUUM_RETENTION_DAYS and
    LAKEWARD_LOG_RETENTION_DAYS. Exit code 1 when a table could not be maintained; the others are.
    """
    from dataclasses import replace

    from lake.inventory import require_tables
    from lake.maintenance.run import Options, choose
    from lake.maintenance.run import maintain as run
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console
    from lakeward.progress import progress

    settings = LakeSettings()
    lake = Lake(settings.root)
    require_tables(lake)
    options = replace(Options.of(settings), dry_run=dry_run, force=force)
    if steps:
        options = replace(options, steps=frozenset(map(_step, _words(steps))))
    chosen = choose(lake, _named(lake, tables) if tables else None)
    done: list[Maintained] = []
    with progress("maintaining", len(chosen), "tables") as show:
        for one in run(lake, options, chosen):
            done.append(one)
            show(len(done))
    if as_json:
        console.print_json(data={"dry_run": dry_run, "tables": [_as_json(one) for one in done]})
    else:
        _print(done, dry_run=dry_run)
    if any(one.error is not None for one in done):
        raise typer.Exit(EXIT_INCOMPLETE)


def _words(texts: Sequence[str]) -> list[str]:
    """Return what an option names, given once with commas or several times."""
    return [word.strip() for text in texts for word in text.split(",")]


def _step(text: str) -> Step:
    from lake.maintenance.run import STEPS

    for step in STEPS:
        if step == text:
            return step
    raise typer.BadParameter(f"{text!r} is none of {', '.join(STEPS)}", param_hint="--steps")


def _named(lake: Any, texts: Sequence[str]) -> list[Table]:
    """Return the tables that ``<layer>`` or ``<layer>.<table>`` name."""
    from lake.tables import LAYERS

    found: list[Table] = []
    for text in _words(texts):
        layer, _, name = text.partition(".")
        known = next((one for one in LAYERS if one == layer), None)
        if known is None:
            raise typer.BadParameter(
                f"{text!r}: there is no layer {layer!r}, only {', '.join(LAYERS)}",
                param_hint="--tables",
            )
        found += [(known, name)] if name else [(known, one) for one in lake.names(known)]
    return found


def _print(done: Sequence[Maintained], *, dry_run: bool) -> None:
    from rich import box
    from rich.filesize import decimal
    from rich.markup import escape
    from rich.table import Table

    from lakeward.console import console, errors

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("table", no_wrap=True)
    for name in ("files", "merged", "rewritten", "vacuumed", "log files"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("checkpoint")
    for one in done:
        files = one.compacted
        table.add_row(
            one.label,
            "-" if files is None else f"{files.files_before:,} -> {files.files_after:,}",
            "-" if files is None else f"{files.files_merged:,}",
            "-" if files is None else decimal(files.bytes_read),
            "-" if one.vacuumed is None else f"{one.vacuumed.files:,}",
            "-" if one.cleaned is None else f"{one.cleaned.files:,}",
            "[red]failed[/]" if one.error else "made" if one.checkpointed else "",
        )
    console.print(table)
    if dry_run:
        console.print("a dry run: nothing was changed")
    for one in done:
        for note in one.notes:
            console.print(f"[yellow]{one.label}[/]: {escape(note)}", soft_wrap=True)
        if one.error is not None:
            errors.print(f"[red]{one.label}[/]: {escape(one.error)}", soft_wrap=True)


def _as_json(one: Maintained) -> dict[str, Any]:
    from dataclasses import asdict

    return {"table": one.label, **asdict(one)}
