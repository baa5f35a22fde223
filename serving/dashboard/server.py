"""Start the dashboard: open a port, wire the parts, serve until told to end."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette

from ingest.listen_address import ListenAddress
from lake.read import LakeReader
from lake.tables import Lake
from lake.tenant_share import TenantShare
from serving.dashboard.answers import Answers
from serving.dashboard.app import Shown, build_app
from serving.dashboard.desk import Desk
from serving.dashboard.errors import DashboardError
from serving.dashboard.sessions import Sessions
from serving.dashboard.versions import Versions

logger = logging.getLogger(__name__)

PORT: Final = 8050
PORTS_TRIED: Final = 20
LOCAL_NAMES: Final = ("127.0.0.1", "localhost", "::1")
STOP_S: Final = 3


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for."""

    host: str = "127.0.0.1"
    port: int | None = None
    """None: ``PORT``, or the next free one."""
    tenant: str | None = None
    refresh_s: int = 30

    @property
    def is_private(self) -> bool:
        """True when only this machine can reach it."""
        return self.host in LOCAL_NAMES

    def url(self, port: int) -> str:
        """The address for a browser on this machine."""
        return f"{ListenAddress(self.host, port).url}/"


def build(
    lake: Lake,
    wishes: Wishes,
    share: Callable[[], TenantShare | None],
    *,
    data_docs: Path | None,
    on_listening: Callable[[], None] = lambda: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """Return the app on ``lake``; ``share`` says what the tenant sees, asked for each session."""
    versions = Versions(lake)
    sessions = Sessions(lake, versions, lambda: LakeReader(lake, share=share(), holds_tail=True))
    desk = Desk(
        Answers(versions, sessions),
        has_live=wishes.tenant is None,
        today=lambda: now().date(),
    )
    shown = Shown(
        tenant=wishes.tenant,
        refresh_s=wishes.refresh_s,
        data_docs=data_docs if wishes.tenant is None else None,
        hosts=None if not wishes.is_private else LOCAL_NAMES,
        now=now,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        on_listening()
        yield
        desk.close()
        sessions.close()

    return build_app(desk, shown, lifespan)


def serve(
    lake: Lake,
    wishes: Wishes,
    share: Callable[[], TenantShare | None],
    *,
    data_docs: Path | None,
    on_listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the dashboard until SIGINT or SIGTERM.

    Raises:
        DashboardError: nobody can listen at that address.
    """
    listening = _listen(wishes)
    url = wishes.url(listening.getsockname()[1])

    def tell() -> None:
        logger.info("dashboard_listens", extra={"url": url})
        on_listening(url)

    app = build(lake, wishes, share, data_docs=data_docs, on_listening=tell)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            limit_concurrency=200,
            timeout_graceful_shutdown=STOP_S,
        )
    )
    server.run(sockets=[listening])


def _listen(wishes: Wishes) -> socket.socket:
    first = PORT if wishes.port is None else wishes.port
    ports = range(first, first + (PORTS_TRIED if wishes.port is None else 1))
    reason = ""
    for port in ports:
        try:
            family, kind, proto, _, where = socket.getaddrinfo(
                wishes.host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except OSError as error:
            raise DashboardError(
                f"{wishes.host!r} is no address of this machine: {error.strerror}",
                hint="Name another with --host.",
            ) from error
        listening = socket.socket(family, kind, proto)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(where)
            listening.listen()
        except OSError as error:
            listening.close()
            reason = error.strerror or str(error)
        else:
            listening.setblocking(False)
            return listening
    tried = f"{ports[0]} to {ports[-1]}" if len(ports) > 1 else str(first)
    raise DashboardError(
        f"cannot listen on port {tried} of {wishes.host}: {reason}",
        hint="Name another with --port, or another address with --host.",
    )
