"""The socket that the collector listens on."""

from __future__ import annotations

import socket
from typing import Final

from ingest.errors import CollectorError
from ingest.listen_address import ListenAddress

DEFAULT_PORT: Final = 8080
BACKLOG: Final = 2048


def collector_address(text: str) -> ListenAddress:
    """Read where the collector listens.

    Raises:
        ListenAddressError: it is no address.
    """
    return ListenAddress.parse(text, setting="LAKEWARD_COLLECTOR_ADDRESS", example=DEFAULT_PORT)


def listen(address: ListenAddress) -> tuple[socket.socket, ListenAddress]:
    """Return a socket that takes connections, and its address, with the port when it was 0.

    Raises:
        CollectorError: nobody can listen there, most often because the port is taken.
    """
    host = address.host or None
    flags = socket.AI_PASSIVE if host is None else 0
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            host, address.port, type=socket.SOCK_STREAM, flags=flags
        )[0]
        listening = socket.socket(family, kind, proto)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(BACKLOG)
    except OSError as error:
        raise CollectorError(
            f"cannot listen on {address}: {error.strerror}",
            hint="Name another address with --address or LAKEWARD_COLLECTOR_ADDRESS.",
        ) from error
    listening.setblocking(False)
    return listening, ListenAddress(address.host, listening.getsockname()[1])
