"""``lakeward superset``: dashboards for people, in Apache Superset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lakeward.superset_session import Opened
    from serving.superset.check import Use
    from serving.superset.sync import SyncResult


def register(app: typer.Typer) -> None:
    """Add the commands."""
    superset = typer.Typer(
        help="Dashboards on gold in Apache Superset: run one, sync one, check the definitions.",
        no_args_is_help=True,
    )
    superset.command()(up)
    superset.command()(sync)
    superset.command()(check)
    app.add_typer(superset, name="superset")


def up(
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Its port on this machine. [default: LAKEWARD_SUPERSET_PORT, or the next free "
            "one]",
        ),
    ] = None,
    new_password: Annotated[
        bool,
        typer.Option("--new-password", help="Give the user admin another password and print it."),
    ] = False,
) -> None:
    """Run a Superset with all dashboards on this machine, until Ctrl-C.

    The first time it installs Superset into an environment of its own (about 150 packages, pinned
    in serving/superset/requirements.txt, some 800 MB on disk), makes its metadata in
    <home>/superset, and prints the password of the user admin, once. It reads the lake's catalog
    read-only. Nobody reaches it from another machine.
    """
    import signal

    from lake.settings import LakeSettings
    from lakeward.console import errors
    from lakeward.superset_session import SupersetSession
    from serving.settings import SupersetSettings

    def say(news: str) -> None:
        errors.print(news, highlight=False, markup=False, soft_wrap=True)

    def show(name: str, line: str) -> None:
        if ":ERROR:" in line:  # its warnings are about itself; the log has them
            errors.print(
                f"{name} | {line}",
                highlight=False, markup=False, emoji=False, soft_wrap=True, style="dim",
            )  # fmt: skip

    session = SupersetSession(
        SupersetSettings(),
        LakeSettings(),
        port=port,
        new_admin_password=new_password,
        say=say,
        show=show,
    )

    def stop(*_: object) -> None:
        say("stopping")
        session.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    session.run(_say_how_to_open)
    say("Superset has stopped")


def sync(
    url: Annotated[
        str | None,
        typer.Option(
            help="Superset's address. [default: LAKEWARD_SUPERSET_URL, else that of a running "
            "`lakeward superset up`]"
        ),
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(
            help="The catalog, as that Superset sees it. [default: <home>/serving/catalog.duckdb]"
        ),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(
            min=0.1, metavar="MINUTES", help="Go on, and do it again after so many minutes."
        ),
    ] = None,
) -> None:
    """Import database, datasets, charts, dashboards, roles and rules; again changes nothing.

    Descriptions come from dbt's docs. A dashboard or chart that an earlier sync made and that is
    defined no more is removed; what people made themselves is left alone. Another Superset than
    that of `lakeward superset up` needs LAKEWARD_SUPERSET_USER and LAKEWARD_SUPERSET_PASSWORD.
    """
    import time

    from ingest.errors import LakewardError
    from lake.settings import LakeSettings
    from lakeward.console import errors
    from lakeward.superset_session import sync_target, sync_to
    from serving.catalog import catalog_path
    from serving.settings import SupersetSettings

    lake = LakeSettings()
    target = sync_target(SupersetSettings(), lake.home, url)
    where = catalog or catalog_path(lake.home).resolve()
    while True:
        try:
            _report(target.url, sync_to(target.url, target.user, target.password, where, lake))
        except LakewardError as error:
            if every is None:
                raise
            errors.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        if every is None:
            return
        time.sleep(60 * every)


def check(
    impact: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Instead list the charts that a change of this model, seed or source reaches.",
        ),
    ] = None,
) -> None:
    """Check that each chart's dataset and columns are in dbt's project; needs no Superset.

    Exits with 1 when one is not.
    """
    from lake.settings import LakeSettings
    from lakeward.console import console
    from lakeward.superset_session import project_of
    from serving.errors import DefinitionError
    from serving.superset.check import impact as reached
    from serving.superset.check import problems
    from serving.superset.definitions import read_definitions

    definitions = read_definitions()
    project = project_of(LakeSettings())
    if impact is not None:
        if impact not in project.upstream:
            raise DefinitionError(
                f"dbt's project has no model, seed or source {impact}",
                hint="names are as in docs/reference/marts.md, without the layer",
            )
        _report_impact(impact, reached(definitions, project, impact))
        return
    found = problems(definitions, project)
    for one in found:
        console.print(str(one), markup=False, highlight=False, soft_wrap=True)
    if found:
        raise typer.Exit(1)
    charts = sum(1 for _ in definitions.charts())
    console.print(
        f"{len(definitions.dashboards)} dashboards, {charts} charts, {len(definitions.datasets)} "
        "datasets: all of it is in dbt's project"
    )


def _say_how_to_open(opened: Opened) -> None:
    from lakeward.console import console

    _report(opened.url, opened.synced)
    console.print(f"\nopen {opened.url}", highlight=False, soft_wrap=True)
    if opened.password is not None:
        console.print(
            f"user admin, password {opened.password}    (shown this once, kept nowhere)",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    else:
        console.print("user admin, with the password that was shown the first time")
        console.print("  (lakeward superset up --new-password makes another)", highlight=False)
    console.print("Ctrl-C stops it.")


def _report(url: str, result: SyncResult) -> None:
    from lakeward.console import console

    console.print(
        f"{url}: {result.dashboards} dashboards, {result.charts} charts, {result.datasets} "
        f"datasets; a role for each of {len(result.tenants)} tenants",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    for name in result.removed:
        console.print(f"removed: {name}", highlight=False, markup=False, soft_wrap=True)


def _report_impact(model: str, uses: list[Use]) -> None:
    from rich.table import Table

    from lakeward.console import console

    if not uses:
        console.print(f"no chart stands on {model}", highlight=False)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("dashboard", "owner", "chart", "table", "columns"):
        table.add_column(heading, overflow="fold")
    for use in uses:
        table.add_row(use.dashboard, use.owner, use.chart, use.table, ", ".join(use.columns))
    console.print(table)
