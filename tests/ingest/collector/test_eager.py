"""Small requests run without a task, and through the same app as all others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from ingest.collector.http_protocol import BoundedHttpProtocol

PROXY = "10.0.0.1"
REQUEST = b"POST /events HTTP/1.1\r\nX-Forwarded-For: 203.0.113.7\r\nContent-Length: 2\r\n\r\n{}"


class Connection(asyncio.Transport):
    """A client's connection from ``peer``; what was sent to it is in ``sent``."""

    def __init__(self, peer: str) -> None:
        super().__init__({"peername": (peer, 1), "sockname": ("127.0.0.1", 80)})
        self.sent = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


async def answered(app: ASGIApp, peer: str = PROXY) -> tuple[bytes, bool]:
    """Return what is sent for one request, and whether its connection was ended."""
    config = uvicorn.Config(
        app, proxy_headers=True, forwarded_allow_ips=PROXY, log_config=None, ws="none"
    )
    config.load()
    connection = Connection(peer)
    protocol = BoundedHttpProtocol(
        config=config,
        server_state=ServerState(),
        app_state={},
        eager_paths=frozenset({"/events"}),
    )
    protocol.connection_made(connection)
    protocol.data_received(REQUEST)
    async with asyncio.timeout(20):
        while not connection.sent and not connection.is_closed:
            await asyncio.sleep(0.001)
    told = connection.sent, connection.is_closed
    protocol.connection_lost(None)
    return told


async def tells_the_client(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["body"] == b"{}"
    await asyncio.sleep(0)
    await asyncio.to_thread(lambda: None)
    assert asyncio.current_task() is None, "it runs without one"
    body = scope["client"][0].encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(("peer", "client"), [(PROXY, "203.0.113.7"), ("10.0.0.2", "10.0.0.2")])
def test_only_a_trusted_proxy_says_who_the_client_is(peer: str, client: str) -> None:
    sent, is_closed = asyncio.run(answered(tells_the_client, peer))
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == client.encode()
    assert not is_closed


@pytest.mark.parametrize("fails", [True, False], ids=["an error", "no answer"])
def test_a_request_whose_app_fails_is_ended_and_its_error_tells_no_payload(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        if fails:
            raise ValueError("very-private-text")

    assert asyncio.run(answered(app)) == (b"", True)
    assert [record.message for record in caplog.records] == ["request_failed"]
    assert "very-private-text" not in caplog.text
