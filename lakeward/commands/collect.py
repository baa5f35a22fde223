"""``lakeward collect``: events by HTTP, acknowledged when they are durable."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from lakeward.commands.write import LogFormat

if TYPE_CHECKING:
    from ingest.listen_address import ListenAddress
    from lakeward.signals import Start

logger = logging.getLogger(__name__)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(collect)


def collect(
    address: Annotated[
        str | None,
        typer.Option(
            help="Where to listen: host:port, or a port of this machine. "
            "[default: LAKEWARD_COLLECTOR_ADDRESS, else 127.0.0.1:8080]",
        ),
    ] = None,
    create_topics: Annotated[
        bool,
        typer.Option(
            "--create-topics",
            help="Make topics that the cluster does not have. On the embedded broker they always "
            "are made.",
        ),
    ] = False,
    log_format: Annotated[
        LogFormat, typer.Option(help="How to write log lines to standard error.")
    ] = LogFormat.text,
) -> None:
    """Take events by HTTP: POST /analytics, and Segment's API below /v1.

    An event is acknowledged when Kafka has it, or while Kafka is away when it is on this disk.
    Clients need a write key: `lakeward tenant create` makes a tenant and its first one. Runs until
    Ctrl-C or SIGTERM, which finish the requests under way.
    """
    from lakeward.signals import Start

    with Start() as start:
        _collect(start, address, create_topics, as_json=log_format is LogFormat.json)
    if start.was_ended:
        logger.info("collector_ends", extra={"why": "told to end before it listened"})


def _collect(start: Start, address: str | None, create_topics: bool, *, as_json: bool) -> None:
    from ingest.collector.server import serve
    from ingest.contracts.registry import load_contracts
    from ingest.settings import CollectorSettings, IngestSettings
    from ingest.tenants.access import open_directory
    from lakeward.console import errors
    from lakeward.logs import set_up_logging

    set_up_logging(as_json=as_json)
    ingest, settings = IngestSettings(), CollectorSettings()
    if address is not None:
        settings = settings.model_copy(update={"address": address})

    def tell(bound: ListenAddress) -> None:
        start.is_over()
        if as_json:
            return
        errors.print(f"collecting at {bound.url}  ({bound.url}/docs shows how)", highlight=False)
        if directory.known_tenants() is None:
            errors.print(
                "no tenant has a write key yet, so every event is refused: "
                "`lakeward tenant create` makes one"
            )

    with open_directory(ingest, max_age_seconds=settings.registry_max_age_seconds) as directory:
        serve(
            ingest,
            settings,
            load_contracts(ingest.contracts_dir),
            directory,
            create_topics=create_topics,
            on_listening=tell,
        )
