"""``lakeward demo``: the whole way on made-up events, one command after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MARKER = ".lakeward-demo"
"""A folder with this file in it is a demo's own and may be made anew."""

FUNNEL = """
select tenant_id, site_id, sum(visit_count) as visits, sum(signup_count) as signups,
  sum(wallet_connect_count) as wallets, sum(purchase_count) as purchases,
  round(100.0 * sum(purchase_count) / nullif(sum(visit_count), 0), 2) as percent
from gold.fct_funnel group by all order by purchases desc, site_id limit 5
"""
REVENUE = """
select r.site_id, s.project_name, s.token_symbol as token, sum(r.purchase_count) as purchases,
  sum(r.gross_usd) as gross_usd
from gold.fct_revenue_daily r left join gold.dim_sites s using (tenant_id, site_id)
group by all order by gross_usd desc, site_id limit 5
"""
HOURS = """
select strftime(window_start, '%Y-%m-%d %H:00') as hour_utc, sum(event_count) as events,
  sum(page_view_count) as page_views, sum(conversion_count) as conversions,
  sum(revenue_usd) as revenue_usd
from gold.fct_metrics_60m group by all order by events desc, hour_utc limit 5
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    events: Annotated[int, typer.Option(min=1_000, help="How many events to make.")] = 200_000,
    days: Annotated[int, typer.Option(min=1, max=365, help="Over how many days.")] = 14,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same visitors.")] = 1,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where to keep it all; made anew each time. Default: <home>/demo.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Go the whole way on made-up events: Kafka, bronze, silver, gold, checks, audit.

    Starts an embedded broker of its own, so nothing reaches your cluster or your lake, and then
    runs lakeward's own commands, each of which it shows.
    """
    import time

    from ingest.broker import EmbeddedBroker
    from ingest.settings import IngestSettings
    from lakeward.console import console

    home = (folder or IngestSettings().home / "demo").resolve()
    _make_anew(home)
    began = time.monotonic()
    with EmbeddedBroker(home) as broker:
        environment = _environment(home, broker.bootstrap_servers)

        def step(title: str, *arguments: str) -> None:
            _step(title, arguments, home, environment)

        step(
            "Events into Kafka, some of them broken on purpose",
            *("generate", "--backfill", f"{days}d", "--events", str(events)),
            *("--seed", str(seed), "--quality-issues"),
        )
        step("Kafka to bronze, each event exactly once", "write", "--until-current")
        step("Bronze to silver and gold", "build")
        step("Are the tables true?", "check")
        step("Every offset exactly once", "audit")
        step("What was sent against what is there", "reconcile")
        step("The funnel", "query", _one_line(FUNNEL))
        step("Revenue", "query", _one_line(REVENUE))
        step("The busiest hours", "query", _one_line(HOURS))
        step("The tables", "tables")
    _say_what_next(home, time.monotonic() - began)
    console.print()


def _make_anew(home: Path) -> None:
    """Empty the folder when it is an earlier demo's.

    Raises:
        LakeError: it holds something else, or cannot be written.
    """
    import shutil

    from lake.errors import LakePathError

    try:
        if home.exists():
            if any(home.iterdir()) and not (home / MARKER).exists():
                raise LakePathError(
                    f"{home} holds something else than an earlier demo",
                    hint="name another folder: lakeward demo --folder PATH",
                )
            shutil.rmtree(home)
        home.mkdir(parents=True)
        (home / MARKER).touch()
    except OSError as error:
        raise LakePathError(
            f"{home} cannot be written: {error.strerror}",
            hint="name another folder: lakeward demo --folder PATH",
        ) from error


def _environment(home: Path, bootstrap_servers: str) -> dict[str, str]:
    """The environment of the demo's commands: the user's, without settings that lead elsewhere."""
    import os

    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LAKEWARD_", "KAFKA_", "AWS_", "DBT_", "DAGSTER_"))
    }
    return kept | {"LAKEWARD_HOME": str(home), "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers}


def _step(title: str, arguments: tuple[str, ...], home: Path, environment: dict[str, str]) -> None:
    """Show a command, run it in ``home``, stop the demo when it fails."""
    import subprocess
    import sys
    import time

    from rich.rule import Rule

    from lakeward.console import console, errors

    console.print()
    console.print(Rule(title, align="left", style="dim"))
    shown = " ".join(f'"{word}"' if " " in word else word for word in arguments)
    console.print(f"$ lakeward {shown}", style="bold", highlight=False, soft_wrap=True)
    began = time.monotonic()
    # no shell, and the words are the demo's own
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "lakeward", *arguments], cwd=home, env=environment, check=False
    )
    console.print(f"{time.monotonic() - began:.1f} s", style="dim", highlight=False)
    if done.returncode != 0:
        errors.print(f"[bold red]the demo stops:[/] lakeward {arguments[0]} failed")
        raise typer.Exit(done.returncode if done.returncode > 0 else 1)


def _one_line(sql: str) -> str:
    return " ".join(sql.split())


def _say_what_next(home: Path, seconds: float) -> None:
    import shlex
    import sys

    from rich.rule import Rule

    from lakeward.console import console

    near = Path(sys.executable).parent / "lakeward"
    here = Path.cwd()
    command = near.relative_to(here) if near.is_relative_to(here) else near
    data = home.relative_to(here) if home.is_relative_to(here) else home
    page = home / "data_docs" / "index.html"
    console.print()
    console.print(Rule(f"Done in {seconds:.0f} s. Where to look next", align="left", style="dim"))
    for line in (
        f"data-quality report   {page.as_uri()}",
        f"views for BI tools    {home / 'serving' / 'catalog.duckdb'}",
        f"ledger of the events  {home / 'generator'}",
        "",
        f"export LAKEWARD_HOME={shlex.quote(str(data))}    # look at this demo's lake",
        f"{command} dashboard    # the marts in a browser: http://127.0.0.1:8050/",
        f'{command} query "select * from gold.fct_revenue_daily limit 10"',
        f'{command} query "select reason, count(*) from bronze.dead_letters group by all"',
        f"{command} tables",
        "",
        "unset LAKEWARD_HOME",
        f"{command} up --generate       # broker, writer, Dagster and live events",
    ):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
