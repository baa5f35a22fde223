"""What the collector answers: JSON, with the request's id, and what a browser needs to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.types import Send

from ingest.collector.refusal import Refusal
from ingest.collector.verdict import Accepted, Verdict

_JSON: Final = (b"content-type", b"application/json")
_EXPOSED: Final = (b"access-control-expose-headers", b"Retry-After, X-Request-Id")
_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"POST, GET, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Content-Encoding, X-Write-Key, X-Retry-Count",
    ),
    (b"access-control-max-age", b"86400"),
)

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Cors:
    """Which web pages may send events and read the answer."""

    allows_any: bool
    origins: frozenset[bytes]

    @classmethod
    def parse(cls, text: str) -> Cors:
        """Read a list with commas; ``*`` for any."""
        named = frozenset(origin.strip().rstrip("/").encode() for origin in text.split(","))
        return cls(b"*" in named, named - {b"", b"*"})

    def headers(self, origin: bytes) -> RawHeaders:
        """Return the headers for an answer to a page of ``origin``."""
        if self.allows_any:
            return [(b"access-control-allow-origin", b"*"), _EXPOSED]
        vary = (b"vary", b"Origin")
        if origin not in self.origins:
            return [vary]
        return [(b"access-control-allow-origin", origin), _EXPOSED, vary]


def verdicts_document(
    request_id: str, verdicts: Sequence[Verdict], accepted: int
) -> dict[str, Any]:
    """Return what became of each event, in the order of the request."""
    return {
        "request_id": request_id,
        "accepted": accepted,
        "rejected": len(verdicts) - accepted,
        "events": [
            {"event_id": verdict.event_id, "status": "accepted"}
            if isinstance(verdict, Accepted)
            else {
                "event_id": verdict.event_id,
                "status": "rejected",
                "reason": verdict.reason,
                "detail": verdict.detail,
            }
            for verdict in verdicts
        ],
    }


async def send_json(send: Send, status: int, document: Any, headers: RawHeaders) -> None:
    """Answer with a JSON document."""
    body = orjson.dumps(document)
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [_JSON, (b"content-length", b"%d" % len(body)), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_refusal(send: Send, refusal: Refusal, request_id: str, headers: RawHeaders) -> None:
    """Answer that the request is not taken as a whole."""
    if refusal.retry_after is not None:
        headers = [*headers, (b"retry-after", b"%d" % refusal.retry_after)]
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers = [*headers, (b"www-authenticate", b'Basic realm="write key"')]
    if refusal.closes:
        headers = [*headers, (b"connection", b"close")]
    document = {"code": refusal.code, "message": refusal.message, "request_id": request_id}
    await send_json(send, refusal.status, document, headers)


async def send_preflight(send: Send, headers: RawHeaders) -> None:
    """Answer a browser that asks whether it may send."""
    told = [*headers, *_PREFLIGHT]
    await send({"type": "http.response.start", "status": HTTPStatus.NO_CONTENT, "headers": told})
    await send({"type": "http.response.body", "body": b""})
