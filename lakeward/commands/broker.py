"""``lakeward broker``: the embedded Kafka-compatible broker, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

CHECK_EVERY_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(broker)


def broker(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port on 127.0.0.1. [default: a free one]"),
    ] = None,
) -> None:
    """Run a Kafka-compatible broker on this machine until Ctrl-C.

    The other commands find it by themselves while KAFKA_BOOTSTRAP_SERVERS is not set. It keeps
    messages in memory: what has not been written to the lake is gone when it stops.
    """
    import signal
    import threading

    from ingest.broker import EmbeddedBroker
    from ingest.settings import IngestSettings
    from lakeward.console import console, errors

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())

    settings = IngestSettings()
    with EmbeddedBroker(settings.home, port=port) as running:
        console.print(
            f"broker at {running.bootstrap_servers}, in memory; Ctrl-C stops it",
            highlight=False,
            soft_wrap=True,
        )
        if settings.bootstrap_servers is not None:
            errors.print(
                f"[yellow]note:[/] KAFKA_BOOTSTRAP_SERVERS is set, so the other commands use "
                f"{settings.bootstrap_servers} and not this broker",
                highlight=False,
                soft_wrap=True,
            )
        while not ended.wait(CHECK_EVERY_S):
            running.check_alive()
    console.print("broker stopped")
