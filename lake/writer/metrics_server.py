"""The HTTP server in the writer's process: ``/metrics``, ``/healthz`` and ``/readyz``.

It has no login and tells names of topics and tables, so by default it listens on this machine only.
"""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import disable_created_metrics
from prometheus_client.exposition import choose_encoder

from ingest.listen_address import ListenAddress
from lake.errors import MetricsAddressError
from lake.writer.watch import WriterWatch

logger = logging.getLogger(__name__)

DEFAULT_PORT: Final = 9464
"""The port that OpenTelemetry's Prometheus exporters use by convention."""

STOP_SECONDS: Final = 0.1
"""How long ending the server may take."""

REQUEST_SECONDS: Final = 10.0
"""A client that sends its request more slowly than this is hung up on."""


def metrics_address(text: str) -> ListenAddress:
    """Read where to serve metrics.

    Raises:
        ListenAddressError: it is no address.
    """
    return ListenAddress.parse(text, setting="LAKEWARD_METRICS_ADDRESS", example=DEFAULT_PORT)


@contextmanager
def serving(watch: WriterWatch, address: ListenAddress) -> Iterator[ListenAddress]:
    """Answer requests while the block runs; yields the address, with its port when it was 0.

    Raises:
        MetricsAddressError: nobody can listen there, most often because the port is taken.
    """
    # when each counter began is told as a series of its own otherwise, which doubles their number
    disable_created_metrics()  # type: ignore[no-untyped-call]
    try:
        server = _server(watch, address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MetricsAddressError(
            f"cannot serve metrics on {address}: {reason}",
            hint="Name another address with --metrics-address or LAKEWARD_METRICS_ADDRESS; two "
            "writers on one machine need two ports. Unset, no metrics are served.",
        ) from error
    thread = threading.Thread(
        target=server.serve_forever, args=(STOP_SECONDS,), name="metrics", daemon=True
    )
    thread.start()
    bound = ListenAddress(address.host, server.server_address[1])
    logger.info("metrics_served", extra={"address": str(bound)})
    try:
        yield bound
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _server(watch: WriterWatch, address: ListenAddress) -> ThreadingHTTPServer:
    host = address.host or None
    flags = socket.AI_PASSIVE if host is None else 0
    family, _, _, _, where = socket.getaddrinfo(
        host, address.port, type=socket.SOCK_STREAM, flags=flags
    )[0]

    class Handler(_Handler):
        pass

    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True
        block_on_close = False

        def server_bind(self) -> None:
            # HTTPServer's own asks a name server for this machine's name, which may take long
            socketserver.TCPServer.server_bind(self)

    Handler.watch = watch
    return Server((str(where[0]), address.port), Handler)


class _Handler(BaseHTTPRequestHandler):
    watch: WriterWatch
    timeout = REQUEST_SECONDS
    server_version = "lakeward"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one request."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, content_type, encode(self.watch.registry))
        elif path in ("/healthz", "/readyz"):
            health = self.watch.health
            verdict = health.alive() if path == "/healthz" else health.ready()
            status = HTTPStatus.OK if verdict.is_well else HTTPStatus.SERVICE_UNAVAILABLE
            body = json.dumps(verdict.as_document(), indent=2).encode() + b"\n"
            self._answer(status, "application/json", body)
        else:
            text = b"There is /metrics, /healthz and /readyz.\n"
            self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", text)

    do_HEAD = do_GET

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: a scrape every few seconds is no news."""
