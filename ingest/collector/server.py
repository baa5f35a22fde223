"""Start the collector: check what must be true, wire its parts, serve until told to end."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn
from prometheus_client import disable_created_metrics
from starlette.applications import Starlette

from ingest.collector import metrics
from ingest.collector.admission import Admission
from ingest.collector.answer import Cors
from ingest.collector.app import build_app
from ingest.collector.collecting import Keys, Parts
from ingest.collector.http_protocol import BoundedHttpProtocol, sweep
from ingest.collector.intake import Intake
from ingest.collector.kafka_sender import KafkaSender
from ingest.collector.limits import EventLimits
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
from ingest.settings import CollectorSettings, IngestSettings
from ingest.topics import missing_topics

logger = logging.getLogger(__name__)

BACKLOG: Final = 2048
GC_THRESHOLDS: Final = (20_000, 20, 20)
"""Objects made and not gone until the youngest are looked at; Python's own: 700, 10, 10."""
DAY_MICROS: Final = 86_400_000_000
HOUR_MICROS: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a collector listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Read ``host:port``, ``[ipv6]:port``, ``:port`` (all addresses) or ``port`` (only here).

        Raises:
            CollectorError: it is none of these.
        """
        host, colon, port = text.strip().rpartition(":")
        host = host.removeprefix("[").removesuffix("]") if colon else "127.0.0.1"
        if not (port.isascii() and port.isdigit() and int(port) <= 65535):
            raise CollectorError(
                f"{text!r} is no address to listen on",
                hint="LAKEWARD_COLLECTOR_ADDRESS is host:port, e.g. 127.0.0.1:8080; :8080 listens "
                "on every address of the machine.",
            )
        return cls(host, int(port))

    @property
    def url(self) -> str:
        """Where a client on this machine reaches it."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0", "::") else self.host  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


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
    on_listening: Callable[[Bound], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Take events until SIGINT or SIGTERM; then finish what was begun.

    Raises:
        LakewardError: something a person has to mend; no event was taken.
    """
    chosen = list(contracts)
    if SEGMENT_CONTRACT not in {contract.name for contract in chosen}:
        raise CollectorError(f"the collector needs the contract {SEGMENT_CONTRACT}")
    bound = Bound.parse(settings.address)
    listening = _listen(bound)
    bound = Bound(bound.host, listening.getsockname()[1])
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
        parts, Readiness(outbox, spill, sender), public_url=settings.public_url, lifespan=lifespan
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedHttpProtocol,
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


def _listen(bound: Bound) -> socket.socket:
    host = bound.host or None
    flags = socket.AI_PASSIVE if host is None else 0
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            host, bound.port, type=socket.SOCK_STREAM, flags=flags
        )[0]
        listening = socket.socket(family, kind, proto)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(BACKLOG)
    except OSError as error:
        raise CollectorError(
            f"cannot listen on {bound.host}:{bound.port}: {error.strerror}",
            hint="Name another address with --address or LAKEWARD_COLLECTOR_ADDRESS.",
        ) from error
    listening.setblocking(False)
    return listening
