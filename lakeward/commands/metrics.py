"""``lakeward metrics``: numbers of the lake for Prometheus."""

from __future__ import annotations

from typing import Annotated

import typer

from lakeward.commands.write import LogFormat


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(metrics)


def metrics(
    address: Annotated[
        str | None,
        typer.Option(
            help="Where to listen: host:port, or a port of this machine. "
            "[default: LAKEWARD_EXPORTER_ADDRESS, else 127.0.0.1:9465]",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(help="How to write log lines to standard error.")
    ] = LogFormat.text,
) -> None:
    """Serve freshness, revenue, traffic, checks, disk and Dagster's health at /metrics.

    The tables are read every LAKEWARD_EXPORTER_SECONDS, whoever scrapes. The writer and the
    collector serve their own numbers. Runs until Ctrl-C or SIGTERM.
    """
    from ingest.listen_address import ListenAddress
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import errors
    from lakeward.logs import set_up_logging
    from lakeward.signals import stop_on_signals
    from serving.settings import ServingSettings
    from serving.watch.dagster import ask_dagster
    from serving.watch.exporter import Exporter, serve
    from serving.watch.reading import read

    as_json = log_format is LogFormat.json
    set_up_logging(as_json=as_json)
    settings, lake_settings = ServingSettings(), LakeSettings()
    lake, url = Lake(lake_settings.root), settings.dagster_url
    where = ListenAddress.parse(
        address or settings.exporter_address, setting="LAKEWARD_EXPORTER_ADDRESS", example=9465
    )
    exporter = Exporter(
        lambda now: [
            *read(lake, lake_settings.home, now),
            *(ask_dagster(url) if url is not None else ()),
        ]
    )
    stopping = stop_on_signals()
    if not as_json:
        errors.print(f"metrics at {where.url}/metrics", highlight=False)
    serve(exporter, where, settings.exporter_seconds, stopping)
