"""``lakeward up``: everything on this machine, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestration.stack.session import Running

DEFAULT_RATE = 500.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port of Dagster's page. [default: LAKEWARD_DAGSTER_PORT, else 3000 or the next "
            "free one]",
        ),
    ] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Also make events, so that something moves.")
    ] = False,
    rate: Annotated[
        float, typer.Option(min=1, help="Events a minute that --generate makes.")
    ] = DEFAULT_RATE,
    accept_gap: Annotated[
        bool,
        typer.Option(
            help="Go on although messages were lost with the broker; written down in ops.journal."
        ),
    ] = False,
) -> None:
    """Run broker, writer, collector, and Dagster's page and daemon, until Ctrl-C.

    With KAFKA_BOOTSTRAP_SERVERS set that cluster is used; else an embedded broker runs, in memory.
    Logs go to <home>/logs; warnings are shown here. Ctrl-C stops everything in order, a second
    Ctrl-C at once.
    """
    import signal

    from rich.table import Table

    from ingest.settings import IngestSettings
    from lake.settings import LakeSettings
    from lakeward.console import console, errors
    from orchestration.settings import OrchestrationSettings
    from orchestration.stack.services import COLLECTOR
    from orchestration.stack.session import Session, Wishes

    settings = OrchestrationSettings()

    def say(news: str) -> None:
        errors.print(news, highlight=False, markup=False, soft_wrap=True)

    def show(name: str, line: str) -> None:
        errors.print(f"{name} | {line}", highlight=False, markup=False, soft_wrap=True, style="dim")

    def ready(running: list[Running]) -> None:
        table = Table(box=None, pad_edge=False)
        for heading in ("process", "id", "where", "what it does"):
            table.add_column(heading, overflow="fold")
        for line in running:
            pid = "" if line.pid is None else str(line.pid)
            table.add_row(line.name, pid, line.where, line.what)
        console.print(table)
        where = next(line.where for line in running if line.name == COLLECTOR)
        console.print(
            f"events by HTTP: {where}/docs shows how; `lakeward tenant create NAME` prints a write "
            "key",
            soft_wrap=True,
            highlight=False,
        )
        console.print(f"home {settings.home.resolve()}   logs {settings.logs}", soft_wrap=True)
        console.print("Ctrl-C stops everything.")

    session = Session(
        IngestSettings(),
        LakeSettings(),
        settings,
        Wishes(
            port=settings.dagster_port if port is None else port,
            generate=rate if generate else None,
            accept_gap=accept_gap,
        ),
        say=say,
        show=show,
    )

    def stop(*_: object) -> None:
        say(
            "stopping at once" if session.stop_asked.is_set() else "stopping; Ctrl-C again: at once"
        )
        session.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    say("starting; this takes some seconds")
    session.run(ready)
    say("everything has stopped")
