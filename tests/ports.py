"""Ports for servers that must be told theirs before they start."""

from __future__ import annotations

import os
import random
import socket
from itertools import count
from typing import Final

FIRST: Final = 12_000
PER_PROCESS: Final = 1_200
PROCESSES: Final = 16
"""Up to 31,200: below those that a system gives to whoever asks for any port (32,768 on Linux)."""

_worker: Final = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
_place: Final = int(_worker) if _worker else os.getpid()
_begin: Final = FIRST + _place % PROCESSES * PER_PROCESS
_numbers: Final = count(random.SystemRandom().randrange(PER_PROCESS))


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nothing listens on, and that nothing else here will take.

    Between this look and the server's own there are seconds. A port that the system gave could be
    given again meanwhile, to a client's connection or another server. These are of a range that it
    gives none of, each process of the tests has a part of it, and takes each port once.
    """
    found: list[int] = []
    while len(found) < count:
        port = _begin + next(_numbers) % PER_PROCESS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found
