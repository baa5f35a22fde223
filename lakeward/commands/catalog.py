"""``lakeward catalog``: the DuckDB file that BI tools open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    catalog = typer.Typer(help="The DuckDB file of views that BI tools open.", no_args_is_help=True)
    catalog.command()(build)
    catalog.command()(path)
    catalog.command("install-extension")(install_extension)
    app.add_typer(catalog, name="catalog")


def build(
    tenant: Annotated[
        str | None,
        typer.Option(help="Only this tenant's rows of silver and gold, and its own fields."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", dir_okay=False,
            help="Where to write it. [default: <home>/serving/catalog.duckdb, or "
            "<home>/serving/tenants/<tenant>.duckdb]",
        ),
    ] = None,
    copy: Annotated[
        bool,
        typer.Option(
            "--copy",
            help="With --tenant: write the rows themselves, as they are now, instead of views. The "
            "only kind to give out of the house.",
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="With --tenant: also for one that nobody knows so far."),
    ] = False,
) -> None:  # fmt: skip
    """Write the catalog: one view for each table; replaced only when the tables changed.

    A tenant's catalog of views shows its rows only, but whoever opens the file with SQL of their
    own reads whatever their account may read on this machine. `--copy` makes a file that holds
    nothing else, and `lakeward query --tenant` a session that can reach nothing else.
    """
    from lake.inventory import require_tables
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console, errors
    from lakeward.tenant import share_for
    from serving.catalog import build_catalog, catalog_path, tenant_catalog_path

    if copy and tenant is None:
        raise typer.BadParameter("needs --tenant", param_hint="--copy")
    if force and tenant is None:
        raise typer.BadParameter("needs --tenant", param_hint="--force")
    settings = LakeSettings()
    lake = Lake(settings.root)
    require_tables(lake)
    share = None if tenant is None else share_for(lake, tenant, must_be_known=not force)
    usual = (
        catalog_path(settings.home)
        if tenant is None
        else tenant_catalog_path(settings.home, tenant)
    )
    result = build_catalog(lake, output or usual, share, copy=copy)
    state = "written" if result.is_changed else "is up to date"
    what = "tables" if copy else "views"
    console.print(f"{result.path} {state}, {result.tables} {what}", soft_wrap=True)
    for line in result.left_out:
        errors.print(f"left out: {line}", style="yellow", markup=False, soft_wrap=True)


def path() -> None:
    """Print where the catalog is."""
    from lake.settings import LakeSettings
    from lakeward.console import console
    from serving.catalog import catalog_path

    found = catalog_path(LakeSettings().home).resolve()
    console.print(str(found), markup=False, highlight=False, soft_wrap=True)


def install_extension(
    folder: Annotated[
        Path | None,
        typer.Option(help="DuckDB's extension_directory. [default: ~/.duckdb/extensions]"),
    ] = None,
) -> None:
    """Put DuckDB's delta extension where other programs' DuckDB finds it without internet."""
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console
    from serving.catalog import install_extensions

    for file in install_extensions(Lake(LakeSettings().root), folder):
        console.print(str(file), markup=False, highlight=False, soft_wrap=True)
