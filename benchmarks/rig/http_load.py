"""Sends HTTP requests over some connections, and tells what came back: a load generator.

    python -m benchmarks.rig.http_load '<Load as JSON>'

Each connection sends its next request when it has the answer to the last one; with a ``rate``, at
its turn, and then a request's time counts from its turn, so that a server that is late is not
spared. Plain asyncio on uvloop: it has to cost little on a machine that it shares with the server.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import numpy as np
import uvloop

BODIES: Final = 64
"""Different bodies that take turns; each event's id is made unique as it is sent."""
LAST_S: Final = 20.0
"""How long to wait for the last answers."""
MARK: Final = b"@@@@@@@@@@@@@@@@"


@dataclass(frozen=True, slots=True)
class Load:
    """What to send."""

    port: int
    key: str
    path: str = "/analytics"
    batch: int = 100
    """Events a request; 0 for one that is not in a list."""
    connections: int = 16
    seconds: float = 10.0
    rate: float | None = None
    """Requests a second, all connections together; None: as fast as answers come."""
    prefix: str = "e"


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back."""

    requests: int
    events: int
    """Of requests that were answered 200, also after the time was over."""
    rate: float
    """Such events a second, answered in time."""
    statuses: dict[str, int]
    p50: float
    p95: float
    p99: float
    """Seconds."""


def event(number: int, now: str) -> dict[str, Any]:
    """Return an entry of about 480 bytes, as a web page sends."""
    return {
        "contract": "clickstream",
        "payload": {
            "event_id": "@@@@@@@@@@@@@@@@",
            "session_id": f"s-{number % 997}",
            "user_id": f"u-{number % 499}",
            "timestamp": now,
            "event_type": "page_view",
            "page_type": "homepage",
            "page_url": f"https://example.org/whitepaper?page={number % 50}",
            "referrer": "https://www.google.com/",
            "country": "DE",
            "page_load_time": 1.4,
            "scroll_depth": 75,
            "ico_website_id": "ico-001",
            "experiment": None,
            "variant": None,
            "utm_source": "google",
            "utm_medium": "cpc",
            "utm_campaign": "spring_sale",
        },
    }


class _Requests:
    """The bytes of requests; each has ids of its own."""

    def __init__(self, load: Load) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._head = (
            f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Write-Key: {load.key}\r\n"
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._prefix = load.prefix.encode()
        self._count = 0
        count = max(1, load.batch)
        documents = [[event(n * 31 + i, now) for i in range(count)] for n in range(BODIES)]
        self._pieces = [
            json.dumps(document if load.batch else document[0]).encode().split(MARK)
            for document in documents
        ]

    def next(self) -> bytes:
        """Return one whole request."""
        self._count += 1
        pieces = self._pieces[self._count % BODIES]
        stem = b"%s%09x" % (self._prefix[:3].ljust(3, b"-"), self._count)
        body = bytearray(pieces[0])
        for number, piece in enumerate(pieces[1:]):
            body += b"%s%04x" % (stem, number)
            body += piece
        return b"%s%d\r\n\r\n%s" % (self._head, len(body), body)


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._answer = bytearray()
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._run.free(self)

    def send(self, began: float) -> None:
        assert self._transport is not None
        self._began = began
        self._transport.write(self._run.requests.next())

    def data_received(self, data: bytes) -> None:
        self._answer += data
        end = self._answer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._answer.find(b"content-length: ")
        size = int(self._answer[at + 16 : self._answer.find(b"\r\n", at)])
        if len(self._answer) < end + 4 + size:
            return
        status = self._answer[9:12].decode()
        self._answer.clear()
        self._run.answered(status, time.perf_counter() - self._began)
        self._run.free(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._run.lost()


class _Run:
    def __init__(self, load: Load) -> None:
        self.load = load
        self.requests = _Requests(load)
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.done = asyncio.get_running_loop().create_future()
        self.end = time.perf_counter() + load.seconds
        self._idle: deque[_Connection] = deque()
        self._turns: deque[float] = deque()
        self._sent = 0

    def free(self, connection: _Connection) -> None:
        if time.perf_counter() >= self.end:
            return
        if self.load.rate is None:
            self._send(connection, time.perf_counter())
        elif self._turns:
            self._send(connection, self._turns.popleft())
        else:
            self._idle.append(connection)

    def turn(self, at: float) -> None:
        if self._idle:
            self._send(self._idle.popleft(), at)
        else:
            self._turns.append(at)

    def _send(self, connection: _Connection, at: float) -> None:
        self._sent += 1
        connection.send(at)

    def answered(self, status: str, seconds: float) -> None:
        self.statuses[status] += 1
        self.latencies.append(seconds)

    def lost(self) -> None:
        self.statuses["lost"] += 1

    async def last_answers(self) -> None:
        """Wait for what was sent and is not answered yet."""
        deadline = time.perf_counter() + LAST_S
        while self._sent > len(self.latencies) and time.perf_counter() < deadline:
            await asyncio.sleep(0.05)


async def _send(load: Load) -> Answers:
    run = _Run(load)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for _ in range(load.connections):
        await loop.create_connection(lambda: _Connection(run), "127.0.0.1", load.port)
    if load.rate is None:
        await asyncio.sleep(load.seconds)
    else:
        turn = began
        while turn < run.end:
            now = time.perf_counter()
            while turn <= now:
                run.turn(turn)
                turn += 1 / load.rate
            await asyncio.sleep(0.001)
    seconds = time.perf_counter() - began
    in_time = run.statuses["200"]
    await run.last_answers()
    answered = dict(run.statuses)
    shares = np.percentile(run.latencies or [float("nan")], [50, 95, 99])
    return Answers(
        requests=sum(answered.values()),
        events=answered.get("200", 0) * max(1, load.batch),
        rate=in_time * max(1, load.batch) / seconds,
        statuses=answered,
        p50=float(shares[0]),
        p95=float(shares[1]),
        p99=float(shares[2]),
    )


def main() -> None:
    """Send, and print the answers as one line of JSON."""
    load = Load(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(uvloop.run(_send(load)))))


if __name__ == "__main__":
    main()
