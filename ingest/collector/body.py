"""Reading a request's body: bounded, and unpacked when it is gzipped."""

from __future__ import annotations

import zlib
from http import HTTPStatus
from typing import Final

from starlette.types import Receive

from ingest.collector.refusal import Refusal

GZIP: Final = 16 + zlib.MAX_WBITS
"""Tells zlib to expect gzip's header."""


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


def announced_size(content_length: str | None, max_bytes: int) -> int:
    """Return how long the body will be, at most; what is not said is taken for the limit.

    Raises:
        Refusal: the body is too large.
    """
    if content_length is None:
        return max_bytes
    if not (content_length.isascii() and content_length.isdigit()):
        raise Refusal(
            HTTPStatus.BAD_REQUEST, "bad_content_length", "Content-Length is no number", closes=True
        )
    size = int(content_length)
    if size > max_bytes:
        raise _too_large(max_bytes)
    return size


async def read_body(receive: Receive, encoding: str | None, max_bytes: int) -> bytes:
    """Return the body, unpacked.

    Raises:
        Refusal: it is too large, packed or unpacked, or packed in a way that is not known.
        ClientGoneError: there is nobody to answer.
    """
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGoneError
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        chunks, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(max_bytes)
            chunks.append(chunk)
        body = b"".join(chunks)
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    if encoding is None or encoding.strip().lower() in ("", "identity"):
        return body
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_encoding",
            "Content-Encoding may be gzip or identity",
        )
    return _unpack(body, max_bytes)


def _unpack(packed: bytes, max_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(GZIP)
    try:
        body = unpacker.decompress(packed, max_bytes + 1)
    except zlib.error:
        raise _not_gzip() from None
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    if not unpacker.eof or unpacker.unused_data:
        raise _not_gzip()
    return body


def _not_gzip() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "not_gzip", "the body is not one gzip stream")


def _too_large(max_bytes: int) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        f"the body is larger than {max_bytes} bytes, packed or unpacked",
        closes=True,
    )
