"""``lakeward write``: from Kafka to bronze, exactly once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

EXIT_SECOND_SIGNAL = 130


class LogFormat(StrEnum):
    """How log lines are written to standard error."""

    text = "text"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(write)


def write(
    until_current: Annotated[
        bool,
        typer.Option(
            "--until-current", help="End when everything that is in Kafka now is in the tables."
        ),
    ] = False,
    contracts: Annotated[
        str | None,
        typer.Option(help="Only these contracts, comma separated. [default: all]"),
    ] = None,
    topics: Annotated[
        str | None,
        typer.Option(help="Only the contracts of these topics, comma separated. [default: all]"),
    ] = None,
    accept_gap: Annotated[
        bool,
        typer.Option(
            "--accept-gap",
            help="Go on where Kafka has lost offsets that the tables do not hold (expired, or the "
            "topic was made again), and note the gap in ops.journal.",
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Do not stop when too many messages are dead letters."),
    ] = False,
    create_topics: Annotated[
        bool,
        typer.Option(
            "--create-topics",
            help="Make topics that the cluster does not have. On the embedded broker they always "
            "are made.",
        ),
    ] = False,
    metrics_address: Annotated[
        str | None,
        typer.Option(
            help="Serve /metrics, /healthz and /readyz there: host:port, or a port of this "
            "machine. [default: LAKEWARD_METRICS_ADDRESS, else nowhere; with --until-current "
            "nowhere]",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(help="How to write log lines to standard error.")
    ] = LogFormat.text,
) -> None:
    """Write events from Kafka to the bronze tables, each exactly once.

    Runs until Ctrl-C or SIGTERM, which finish what is buffered and commit it; a second one ends at
    once, and loses nothing either. Messages that are no event of their contract go to
    bronze.dead_letters with the reason. `lakeward audit` proves the result. A newer contract in
    LAKEWARD_CONTRACTS_DIR, or a new one, is taken up while it runs.
    """
    import os
    import signal
    import threading

    from ingest.contracts.registry import load_contracts
    from ingest.settings import IngestSettings
    from lake.settings import LakeSettings
    from lake.writer.contract_files import ContractFiles
    from lake.writer.memory import give_back_freed_memory
    from lake.writer.metrics_server import metrics_address as read_address
    from lake.writer.service import run
    from lakeward.console import errors
    from lakeward.logs import set_up_logging
    from lakeward.writer_progress import WriterProgress

    set_up_logging(as_json=log_format is LogFormat.json)
    give_back_freed_memory()
    ingest, settings = IngestSettings(), LakeSettings()
    # a drain beside the always-on writer of the same settings must not want its port
    where = metrics_address or (None if until_current else settings.metrics_address)
    known = load_contracts(ingest.contracts_dir)
    chosen = {contract.name: contract for contract in known}
    only: set[str] | None = None
    if contracts is not None or topics is not None:
        named = [known.by_name(name) for name in _names(contracts)]
        named += [known.by_topic(topic) for topic in _names(topics)]
        chosen = {contract.name: contract for contract in named}
        only = set(chosen)
    folder = ingest.contracts_dir

    stop = threading.Event()

    def on_signal(*_: object) -> None:
        if stop.is_set():
            os._exit(EXIT_SECOND_SIGNAL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)

    shown = WriterProgress(errors, as_log=log_format is LogFormat.json)
    with shown:
        done = run(
            ingest,
            settings,
            chosen.values(),
            until_current=until_current,
            accept_gap=accept_gap,
            force=force,
            create_topics=create_topics,
            stop=stop,
            contracts_again=None if folder is None else ContractFiles(folder, only),
            metrics=None if where is None else read_address(where),
            on_progress=shown.show,
        )
    shown.finish(done)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]
