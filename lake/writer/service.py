"""Start the writer: check what must be true, wire its parts, run it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime

from ingest.contracts.model import Contract
from ingest.kafka import admin_client, check_reachable, ensure_topics, is_embedded
from ingest.listen_address import ListenAddress
from ingest.settings import IngestSettings
from lake.journal import Journal
from lake.settings import LakeSettings
from lake.tables import Lake
from lake.writer.broker_view import BrokerView
from lake.writer.known_tenants import known_tenants
from lake.writer.live_rules import LiveRules, asking
from lake.writer.loop import WriterLoop
from lake.writer.metrics_server import serving
from lake.writer.others import left_to_others
from lake.writer.patience import Patience
from lake.writer.presence import is_present, present
from lake.writer.progress import Progress
from lake.writer.rules import Rules
from lake.writer.sinks import Sinks
from lake.writer.start import StartingPoints
from lake.writer.target import check_writable
from lake.writer.watch import WriterWatch

logger = logging.getLogger(__name__)


def run(
    ingest: IngestSettings,
    settings: LakeSettings,
    contracts: Iterable[Contract],
    *,
    until_current: bool = False,
    accept_gap: bool = False,
    force: bool = False,
    create_topics: bool = False,
    stop: threading.Event | None = None,
    metrics: ListenAddress | None = None,
    contracts_again: Callable[[], Iterable[Contract]] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Progress:
    """Write the contracts' topics to bronze, each message exactly once.

    Args:
        ingest: which broker.
        settings: which lake, and how to fill it.
        contracts: what to read; one topic each.
        until_current: end when everything that was in Kafka at the start is in the tables.
        accept_gap: go on where Kafka has lost offsets, and note it in the journal.
        force: never stop at the dead-letter limit.
        create_topics: make missing topics; on the embedded broker they always are.
        stop: set it to drain and end.
        metrics: where to answer scrapes and health checks; None: nowhere.
        contracts_again: what the contracts are now, asked while it runs; None: they stay.
        on_progress: called about once a second.
        now: stamps commits and journal entries.

    Raises:
        LakewardError: something a person has to mend; nothing is half-written.
    """
    chosen = list(contracts)
    watch = WriterWatch({contract.topic: contract.name for contract in chosen})
    with ExitStack() as open_while_it_runs:
        if metrics is not None:  # before anything else: a taken port is told at once
            open_while_it_runs.enter_context(serving(watch, metrics))
        return _run(
            ingest,
            settings,
            chosen,
            watch,
            until_current=until_current,
            accept_gap=accept_gap,
            force=force,
            create_topics=create_topics,
            stop=stop,
            contracts_again=contracts_again,
            on_progress=on_progress,
            now=now,
        )


def _run(
    ingest: IngestSettings,
    settings: LakeSettings,
    chosen: list[Contract],
    watch: WriterWatch,
    *,
    until_current: bool,
    accept_gap: bool,
    force: bool,
    create_topics: bool,
    stop: threading.Event | None,
    contracts_again: Callable[[], Iterable[Contract]] | None,
    on_progress: Callable[[Progress], None],
    now: Callable[[], datetime],
) -> Progress:
    lake = Lake(settings.root)
    check_writable(lake)
    check_reachable(ingest)
    on_embedded = is_embedded(admin_client(ingest))
    if create_topics or on_embedded:
        made = ensure_topics(ingest, chosen)
        if made:
            logger.info("topics_made", extra={"topics": made})
    view = BrokerView(ingest)
    view.partitions(contract.topic for contract in chosen)
    ended = stop or threading.Event()
    patience = None if until_current else Patience(ended)
    tenants = known_tenants(ingest, settings)
    begun_with = tenants()
    rules = [Rules(contract, begun_with) for contract in chosen]
    sinks = Sinks(lake, settings, rules, force=force, patience=patience, watch=watch, now=now)
    journal = Journal(lake, settings.writer_name, now=now)

    def others() -> bool:
        if on_embedded:
            return is_present(settings.home)
        return view.active_members(settings.writer_name) > 0

    is_shared = until_current and settings.assignment == "auto"
    ends_of = view.true_ends if on_embedded else view.stable_ends
    if is_shared and left_to_others(others, ends_of, view, sinks, journal, ended):
        return Progress(lag=0)
    points = StartingPoints(
        journal, sinks.take_over, sinks.look, view.true_ends, accept_gap=accept_gap
    )
    is_static = settings.assignment == "static" or (
        settings.assignment == "auto" and (on_embedded or until_current)
    )

    def admit(contract: Contract) -> None:
        if create_topics or on_embedded:
            ensure_topics(ingest, [contract])
        view.partitions([contract.topic])

    live = LiveRules(rules, contracts_again, tenants, admit=admit, watch=watch)
    loop = WriterLoop(
        ingest,
        settings,
        sinks,
        view,
        points,
        is_static=is_static,
        is_embedded=on_embedded,
        until_current=until_current,
        stop=ended,
        patience=patience,
        on_progress=on_progress,
        watch=watch,
        rules=live,
    )
    if until_current:
        return loop.run()
    with ExitStack() as open_while_it_runs:
        if on_embedded:
            open_while_it_runs.enter_context(present(settings.home))
        open_while_it_runs.enter_context(asking(live, settings.rules_seconds))
        return loop.run()
