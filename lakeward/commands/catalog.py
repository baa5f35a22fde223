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


def build() -> None:
    """Write the catalog: one view for each table; replaced only when the tables changed."""
    from lake.inventory import require_tables
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console, errors
    from serving.catalog import build_catalog, catalog_path

    settings = LakeSettings()
    lake = Lake(settings.root)
    require_tables(lake)
    result = build_catalog(lake, catalog_path(settings.home))
    state = "written" if result.is_changed else "is up to date"
    console.print(f"{result.path} {state}, {result.tables} views", soft_wrap=True)
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
