"""Ports of this machine: is one free, and which is the next."""

from __future__ import annotations

import socket

from orchestration.errors import PortError

DAGSTER_PORT = 3000
PORTS_TRIED = 20


def is_free(host: str, port: int) -> bool:
    """True when a server could listen on ``port`` of ``host`` at this moment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_free(host: str) -> int:
    """Return a port of ``host`` that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def choose(host: str, wanted: int | None) -> int:
    """Return ``wanted``; when it is None, 3000 or the first free port after it.

    Raises:
        PortError: the wanted port is taken, or none of those tried is free.
    """
    if wanted is not None:
        if is_free(host, wanted):
            return wanted
        raise PortError(
            f"port {wanted} of {host} is in use",
            hint="Name another with --port or LAKEWARD_DAGSTER_PORT; unset takes a free one.",
        )
    return first_free(host, DAGSTER_PORT, "Name a free one with --port or LAKEWARD_DAGSTER_PORT.")


def first_free(host: str, begin: int, hint: str) -> int:
    """Return ``begin``, or the first free port of ``host`` after it.

    Raises:
        PortError: none of those tried is free; ``hint`` says what to do then.
    """
    for port in range(begin, begin + PORTS_TRIED):
        if is_free(host, port):
            return port
    raise PortError(
        f"no port from {begin} to {begin + PORTS_TRIED - 1} of {host} is free", hint=hint
    )
