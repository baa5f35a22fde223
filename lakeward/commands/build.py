"""``lakeward build``: bronze to silver to gold."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(build)


def build(
    select: Annotated[
        list[str] | None,
        typer.Option(
            "--select", "-s", help="Only these models, in dbt's words, e.g. fct_funnel or gold."
        ),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Not these models.")] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Make the tables anew from all of bronze.")
    ] = False,
    tests: Annotated[bool, typer.Option(help="Also run the models' tests.")] = True,
    target: Annotated[
        str,
        typer.Option(help="prod, or dev: the same bronze, its own silver and gold below the home."),
    ] = "prod",
) -> None:
    """Build the silver and gold tables with dbt: what bronze got since the last build.

    It can be stopped anywhere and run again: each table is written in one commit, together with
    how far it has read.
    """
    from lakeward.build_report import build_and_report

    # unit tests are of the models' SQL on made-up rows: they belong to whoever changes it
    args = ["build", "--exclude-resource-type", "unit_test", *([] if tests else ["test"])]
    if select:
        args += ["--select", *select]
    if exclude:
        args += ["--exclude", *exclude]
    if full_refresh:
        args.append("--full-refresh")
    succeeded = build_and_report(args, target=target)
    if target == "prod":
        _renew_catalog()
    if not succeeded:
        raise typer.Exit(1)


def _renew_catalog() -> None:
    """Give a table that this build made its view in the BI catalog."""
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console
    from serving.catalog import build_catalog, catalog_path

    settings = LakeSettings()
    result = build_catalog(Lake(settings.root), catalog_path(settings.home))
    if result.is_changed:
        console.print(
            f"catalog: {result.path.resolve()}, {result.tables} views",
            highlight=False,
            soft_wrap=True,
        )
