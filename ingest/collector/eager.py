"""A small request with events, answered without a task of its own.

Most of what a request of one event costs is not its event: uvicorn makes a task for each, hands
the body and the answer over as messages, and looks at every header that it sends. Here the app is
begun as soon as the request is whole, goes on when what it waits for is there, and its answer is
one write. Python 3.12 has the first half of that as eager tasks.

There is no current task meanwhile, so an app that runs like this may await futures and what is made
of them, and nothing of anyio. The endpoints that take events do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 8 * 1024
"""Of a body; a larger one is worth a task, which may wait for its turn."""


class EagerRequest:
    """Runs an ASGI app for one request, whose body is whole."""

    __slots__ = ("_coroutine", "_cycle", "_head", "_is_read", "_loop", "_write")

    def __init__(
        self,
        app: Callable[..., Coroutine[Any, Any, None]],
        cycle: RequestResponseCycle,
        write: Callable[[bytes], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Prepare it.

        Args:
            app: the app, as uvicorn has it.
            cycle: uvicorn's side of the request; it learns that it was answered.
            write: sends bytes to the client at once.
            loop: the running loop.
        """
        self._cycle = cycle
        self._write = write
        self._loop = loop
        self._is_read = False
        self._head = b""
        self._coroutine = app(cycle.scope, self._receive, self._send)

    def step(self, _: object = None) -> None:
        """Go on until the app waits for something, or has ended."""
        try:
            awaited = self._coroutine.send(None)
        except StopIteration:
            if not self._cycle.response_complete and not self._cycle.disconnected:
                self._give_up("it ended without an answer")
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - this request ends
            self._give_up(type(error).__name__)
        else:
            if awaited is None:  # asyncio.sleep(0)
                self._loop.call_soon(self.step)
            else:
                awaited._asyncio_future_blocking = False  # the other half of Future.__await__
                awaited.add_done_callback(self.step)

    def _give_up(self, why: str) -> None:
        logger.error("request_failed", extra={"error": why})
        self._cycle.transport.close()

    async def _receive(self) -> dict[str, Any]:
        if self._is_read:
            return {"type": "http.disconnect"}
        self._is_read = True
        return {"type": "http.request", "body": bytes(self._cycle.body), "more_body": False}

    async def _send(self, message: dict[str, Any]) -> None:
        cycle = self._cycle
        if message["type"] == "http.response.start":
            parts = [STATUS_LINE[message["status"]]]
            for name, value in (*cycle.default_headers, *message["headers"]):
                if name == b"connection":
                    cycle.keep_alive = False
                else:
                    parts += (name, b": ", value, b"\r\n")
            cycle.response_started = True
            self._head = b"".join(parts)
            return
        cycle.response_complete = True
        if cycle.disconnected:
            return
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self._write(self._head + end + message["body"])
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
