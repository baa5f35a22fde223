"""uvicorn's HTTP protocol, with an end for clients that are slow or send an endless head.

uvicorn times out connections between two requests only: one that sends a byte of its head now and
then would stay for ever. Here a request has to be complete in so many seconds; a sweep over the
open connections looks once a second, which costs a request nothing. Small requests to the paths
that take events are run without a task (``ingest.collector.eager``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final, cast

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ingest.collector.eager import MOST_BYTES, EagerRequest

MOST_HEAD_BYTES: Final = 32 * 1024
SWEEP_SECONDS: Final = 1.0


class _JoiningTransport:
    """Sends at once what one answer writes in two: uvicorn writes head and body apart.

    uvloop hands each write to the kernel as it comes, which for a small answer doubles the packets,
    and wakes the client up for a head without a body.
    """

    __slots__ = ("_loop", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write_now(self, data: bytes) -> None:
        if self._parts:
            self._parts.append(data)
            self._send()
        else:
            self._transport.write(data)

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send(self) -> None:
        if self._parts and not self._transport.is_closing():
            self._transport.write(b"".join(self._parts))
        self._parts = []


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection whose requests have to be complete in time."""

    def __init__(
        self, *args: Any, eager_paths: frozenset[str] = frozenset(), **kwargs: Any
    ) -> None:
        """Take what uvicorn gives, and the paths whose small POST requests need no task."""
        super().__init__(*args, **kwargs)
        self._eager_paths = eager_paths
        self._held: RequestResponseCycle | None = None
        """A request that may need no task, until its body is whole."""
        self._began: float | None = None
        """When the request that is not complete yet began; None between requests."""
        self._head_bytes = 0
        self._is_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client that connects has to send something."""
        self._began = self.loop.time()
        self._joining = _JoiningTransport(transport, self.loop)
        super().connection_made(cast("asyncio.Transport", self._joining))

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self._began is None:
            self._began = self.loop.time()
        if self._is_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_head and self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._is_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole: from here on it is ours to be quick."""
        self._began, self._is_head, self._head_bytes = None, True, 0
        super().on_message_complete()
        if self._held is not None:
            held, self._held = self._held, None
            self._run_eagerly(held)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        super().on_body(body)
        if self._held is not None and len(self._held.body) > MOST_BYTES:
            held, self._held = self._held, None
            super()._start_asgi_task(held, self.app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin a request whose head is there; uvicorn calls it."""
        if (
            cycle.scope["path"] not in self._eager_paths
            or cycle.scope["method"] != "POST"
            or app is not self.app  # the one that says that there are too many connections
            or cycle.waiting_for_100_continue
            or len(cycle.body) > MOST_BYTES
        ):
            super()._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._held = cycle
        else:  # it stood behind another one; not at once: a long row would be as deep a call
            self.loop.call_soon(self._run_eagerly, cycle)

    def _run_eagerly(self, cycle: RequestResponseCycle) -> None:
        if self.flow.write_paused:  # the client does not read: wait for that in a task
            super()._start_asgi_task(cycle, self.app)
        elif not self.transport.is_closing():
            EagerRequest(self.app, cycle, self._joining.write_now, self.loop).step()

    def end_if_slow(self, now: float, seconds: float) -> None:
        """Hang up on a client that has taken longer than ``seconds`` for its request."""
        if self._began is not None and now - self._began > seconds:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        self._began = None
        if self.transport is None or self.transport.is_closing():
            return
        answers_another = self.cycle is not None and self.cycle.response_started
        if not answers_another or self.cycle.response_complete:
            body = f'{{"code":"{status.name.lower()}","message":"{status.phrase}"}}'.encode()
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()


async def sweep(connections: Callable[[], Iterable[Any]], seconds: float) -> None:
    """End slow requests, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(min(SWEEP_SECONDS, seconds))
        now = loop.time()
        for connection in list(connections()):
            if isinstance(connection, BoundedHttpProtocol):
                connection.end_if_slow(now, seconds)
