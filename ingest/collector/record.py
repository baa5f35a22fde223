"""One message on its way to Kafka, and how it is written to the spill."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

Headers = list[tuple[str, str | bytes | None]]

_FRAME: Final = struct.Struct("<II")
"""Length and CRC-32 of what follows."""
_HEAD: Final = struct.Struct("<I")
"""Length of the head; the value follows it."""


class Record(NamedTuple):
    """A message for one topic.

    A tuple: one is made for each event, and it takes a third of the time of a frozen dataclass.
    """

    topic: str
    key: bytes
    value: bytes
    headers: Headers

    def encode(self) -> bytes:
        """Return the record as it stands in a spill file."""
        told = {
            "topic": self.topic,
            "key": self.key.decode(),
            "headers": [[name, _text(value)] for name, value in self.headers],
        }
        head = orjson.dumps(told)
        body = b"".join((_HEAD.pack(len(head)), head, self.value))
        return _FRAME.pack(len(body), zlib.crc32(body)) + body

    @property
    def size(self) -> int:
        """About the bytes that it takes in memory and on disk."""
        return len(self.value) + len(self.key) + 200


@dataclass(frozen=True, slots=True)
class Torn:
    """The end of a file that a crash cut short: it was never acknowledged."""

    at: int
    size: int


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes that were written whole and are no record any more: the disk changed them."""

    at: int
    size: int


def read_records(data: bytes) -> Iterator[Record | Torn | Damaged]:
    """Yield the records of a spill file; the last item may say what cannot be read."""
    at, end = 0, len(data)
    while at < end:
        if end - at < _FRAME.size:
            yield Torn(at, end - at)
            return
        length, checksum = _FRAME.unpack_from(data, at)
        start = at + _FRAME.size
        if start + length > end:
            yield Torn(at, end - at)
            return
        body = data[start : start + length]
        if zlib.crc32(body) != checksum or length < _HEAD.size:
            is_last = start + length == end or not any(data[at:])
            yield Torn(at, end - at) if is_last else Damaged(at, end - at)
            return
        (size,) = _HEAD.unpack_from(body)
        head = orjson.loads(body[_HEAD.size : _HEAD.size + size])
        yield Record(
            head["topic"],
            head["key"].encode(),
            body[_HEAD.size + size :],
            [(name, None if value is None else value.encode()) for name, value in head["headers"]],
        )
        at = start + length


def _text(value: str | bytes | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
