"""Start the collector: check what must be true, wire its parts, serve until told to end."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn
from prometheus_client import disable_created_metrics
from starlette.applications import Starlette

from ingest.collector import metrics
from ingest.collector.admission import Admission
from ingest.collector.answer import Cors
from ingest.collector.app import EVENT_PATHS, build_app
from ingest.collector.collecting import Keys, Parts
from ingest.collector.http_protocol import BoundedHttpProtocol, sweep
from ingest.collector.intake import Intake
from ingest.collector.kafka_sender import KafkaSender
from ingest.collector.limits import EventLimits
from ingest.collector.listening import collector_address, listen
from ingest.collector.outbox import Outbox
from ingest.collector.readiness import Readiness
from ingest.collector.segment import CONTRACT as SEGMENT_CONTRACT
from ingest.collector.spill import Spill
from ingest.collector.token_bucket import RateLimits
from ingest.collector.user_agent import client_of
from ingest.collector.watch import CollectorWatch
from ingest.contracts.model import Contract
from ingest.errors import BrokerError, CollectorError, TopicError
from ingest.kafka import admin_client, check_reachable, client_config, ensure_topics, is_embedded
from ingest.listen_address import ListenAddress
from ingest.settings import CollectorSettings, IngestSettings
from ingest.topics import missing_topics

logger = logging.getLogger(__name__)

GC_THRESHOLDS: Final = (20_000, 20, 20)
"""Objects made and not gone until the youngest are looked at; Python's own: 700, 10, 10."""
DAY_MICROS: Final = 86_400_000_000
HOUR_MICROS: Final = 3_600_000_000


def spill_folder(ingest: IngestSettings, settings: CollectorSettings) -> Path:
    """Return where events wait while Kafka is away."""
    return settings.spill_dir or ingest.home / "collector" / "spill"


def check_kafka(
    ingest: IngestSettings, contracts: Iterable[Contract], *, create_topics: bool
) -> bool:
    """Return whether Kafka answers; if it does, the contracts' topics are there.

    Raises:
        BrokerError: no broker is known, or a setting is wrong.
        TopicError: a topic is missing and may not be made.
    """
    chosen = list(contracts)
    client_config(ingest)
    try:
        check_reachable(ingest)
    except BrokerError as error:
        logger.warning("kafka_away", extra={"why": error.message})
        return False
    admin = admin_client(ingest)
    if create_topics or is_embedded(admin):
        made = ensure_topics(ingest, chosen)
        if made:
            logger.info("topics_made", extra={"topics": made})
    missing = missing_topics(admin, chosen)
    if missing:
        raise TopicError(
            f"topics are missing: {', '.join(missing)}",
            hint="Make them, or start with --create-topics.",
        )
    return True


def serve(
    ingest: IngestSettings,
    settings: CollectorSettings,
    contracts: Iterable[Contract],
    keys: Keys,
    *,
    create_topics: bool = False,
    on_listening: Callable[[ListenAddress], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Take events until SIGINT or SIGTERM; then finish what was begun.

    Raises:
        LakewardError: something a person has to mend; no event was taken.
    """
    chosen = list(contracts)
    if SEGMENT_CONTRACT not in {contract.name for contract in chosen}:
        raise CollectorError(f"the collector needs the contract {SEGMENT_CONTRACT}")
    listening, bound = listen(collector_address(settings.address))
    is_there = check_kafka(ingest, chosen, create_topics=create_topics)
    disable_created_metrics()  # type: ignore[no-untyped-call]
    spill = Spill(spill_folder(ingest, settings), settings.spill_bytes)
    watch = CollectorWatch()
    sender = KafkaSender(ingest, delivery_timeout_s=settings.kafka_seconds)
    outbox = Outbox(sender, spill, on_spilled=watch.spilled.add, on_drained=watch.drained.add)
    sender.on_brokers_down = outbox.kafka_is_away
    sender.on_producer_failed = watch.producer_failures.add
    if not is_there:
        outbox.kafka_is_away()
    limits = EventLimits(
        max_event_bytes=settings.max_event_bytes,
        max_depth=settings.max_depth,
        max_age_micros=round(settings.max_age_days * DAY_MICROS),
        max_ahead_micros=round(settings.max_ahead_hours * HOUR_MICROS),
    )
    parts = Parts(
        keys=keys,
        intakes={contract.name: Intake(contract, limits) for contract in chosen},
        outbox=outbox,
        rates=RateLimits(),
        admission=Admission(settings.max_in_flight_bytes),
        watch=watch,
        cors=Cors.parse(settings.cors_origins),
        now=now,
        max_body_bytes=settings.max_body_bytes,
        max_batch=settings.max_batch,
    )
    watch.ask(metrics.REGISTRY_AGE, lambda: keys.age_seconds)
    watch.ask(metrics.IN_FLIGHT, lambda: parts.admission.in_flight)
    watch.ask(metrics.WAITING, lambda: sender.waiting)
    watch.ask(metrics.SPILL_BYTES, lambda: spill.size)
    watch.ask(metrics.SPILLING, lambda: outbox.is_spilling)

    client_of("")  # its list of rules takes a second to load: not while a client waits

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        _spare_the_collector_of_garbage()
        sender.start()
        outbox.start()
        sweeping = asyncio.create_task(
            sweep(lambda: server.server_state.connections, settings.request_seconds)
        )
        on_listening(bound)
        logger.info("collector_listens", extra={"url": bound.url})
        yield
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
        await outbox.close()
        left = sender.close()
        logger.info("collector_ends", extra={"unanswered": left, "spill_bytes": spill.size})

    app = build_app(
        parts,
        Readiness(outbox, spill, sender, keys),
        public_url=settings.public_url,
        lifespan=lifespan,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=partial(BoundedHttpProtocol, eager_paths=EVENT_PATHS),  # type: ignore[arg-type]
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
            server_header=False,
            lifespan="on",
            limit_concurrency=settings.max_connections,
            timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]
            timeout_graceful_shutdown=round(settings.stop_seconds),
        )
    )
    server.run(sockets=[listening])


def _spare_the_collector_of_garbage() -> None:
    """Let Python look for cycles rarely, and never among what the start has made.

    Seen with one event a request: a sixth of the loop's time went into walking over modules, rules
    for user agents and tables of the registry again and again. A request leaves no cycles but for
    a refused one's traceback, so memory does not grow by it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
