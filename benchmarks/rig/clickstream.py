"""Clickstream events as JSON: the messages that all benchmarks are measured with."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import orjson

SITE = "https://nova-site.example/"
START = datetime(2025, 6, 1, tzinfo=UTC)
POOL = 50_000
"""So many bodies are made; a topic repeats them, each time with another event_id."""

_HEAD = len(b'{"event_id":"')
_ID = 36

Change = Callable[[Sequence[bytes], int], list[bytes]]


def clickstream(count: int, seed: int) -> list[bytes]:
    """Make ``count`` clickstream messages of 15 members and about 426 bytes."""
    draw = random.Random(seed)
    return [
        orjson.dumps(
            {
                "event_id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
                "tenant_id": f"tenant-{draw.randrange(5)}",
                "session_id": f"s-{draw.getrandbits(64):016x}",
                "user_id": f"u-{draw.randrange(10**6):06d}",
                "timestamp": f"{START + timedelta(milliseconds=draw.randrange(10**9)):%FT%T}.123Z",
                "event_type": draw.choice(["page_view", "click", "scroll", "form_interaction"]),
                "page_type": draw.choice(["homepage", "whitepaper", "presale", "tokenomics"]),
                "page_url": "https://nova-site.example/"
                + draw.choice(["", "team", "presale/step-2"]),
                "referrer": "https://www.google.com/",
                "country": draw.choice(["US", "DE", "JP", "KR", "SG"]),
                "device_type": draw.choice(["desktop", "mobile", "tablet"]),
                "browser": draw.choice(["Chrome", "Safari", "Firefox"]),
                "page_load_time": round(draw.uniform(0.1, 5), 3),
                "scroll_depth": draw.randrange(101),
                "ico_website_id": f"site-{draw.randrange(20):03d}",
            }
        )
        for _ in range(count)
    ]


def with_faults(values: Sequence[bytes], seed: int) -> list[bytes]:
    """Break 1 % of the messages, and give 5 % a member that must be rescued."""
    draw = random.Random(seed)
    return [_faulty(value, draw.random()) for value in values]


def enlarged(values: Sequence[bytes], seed: int, size: int = 1024) -> list[bytes]:
    """Bring each message to ``size`` bytes by a longer query in its address and its referrer."""
    draw = random.Random(seed)
    return [_enlarged(value, size, draw) for value in values]


def stream(count: int, seed: int, change: Change | None = None) -> Iterator[bytes]:
    """Yield ``count`` messages quickly: bodies of a pool, each time with an event_id of its own.

    What ``change`` broke keeps its share, since it is applied to the pool.
    """
    draw = random.Random(seed)
    pool = clickstream(min(count, POOL), seed)
    if change is not None:
        pool = change(pool, seed)
    bodies = [(body[:_HEAD], body[_HEAD + _ID :]) for body in pool]
    for at in range(0, count, len(bodies)):
        ids = draw.randbytes(16 * len(bodies)).hex()
        for n, (head, tail) in enumerate(bodies[: count - at]):
            i = ids[32 * n : 32 * n + 32]
            event_id = f"{i[:8]}-{i[8:12]}-4{i[13:16]}-8{i[17:20]}-{i[20:]}"
            yield head + event_id.encode() + tail


def is_whole(value: bytes) -> bool:
    """Return whether ``with_faults`` left a message an event, so that it becomes a row."""
    return value.endswith(b"}") and b'"event_type"' in value


def _faulty(value: bytes, chance: float) -> bytes:
    if chance < 0.005:
        return value[: len(value) * 2 // 3]
    if chance < 0.01:
        return value.replace(b'"event_type"', b'"event"', 1)
    if chance < 0.035:
        return value[:-1] + b',"plugin":{"version":"1.2"}}'
    if chance < 0.06:
        return orjson.dumps({**orjson.loads(value), "page_load_time": "fast"})
    return value


def _enlarged(value: bytes, size: int, draw: random.Random) -> bytes:
    event = orjson.loads(value)
    missing = size - len(value)
    query = f"?utm_id={draw.getrandbits(4 * missing):0{missing}x}"[:missing]
    half = missing // 2
    event["page_url"] += query[:half]
    event["referrer"] += query[half:]
    return orjson.dumps(event)
