"""Messages on their way from the poll to a commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Message

from lake.writer.messages import Headers, Messages
from lake.writer.source import Source


@dataclass(frozen=True, slots=True)
class Part:
    """One source's part of a batch: the offsets from ``first`` to ``last``, all accounted for."""

    source: Source
    held: int | None
    """The last offset the table must hold before this batch; None: nothing."""
    first: int
    """The first offset of the range, whether a message has it or not."""
    last: int
    """The last offset of the range, inclusive; a message or a transaction marker."""


TIMESTAMPS_MS: Final = (0, 253_402_300_799_999)
"""1970 to 9999, UTC. A producer may claim any 64-bit number; what lies outside is set to the end
it passed, since most readers know no such year. Silver goes by the commit's time then."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one flush takes from one incarnation of a topic."""

    topic: str
    topic_id: str
    parts: tuple[Part, ...]
    polled: Sequence[Message]
    """In poll order; may be empty when only transaction markers were passed."""
    size: int
    """Payload bytes."""


def columns(batch: Batch) -> Messages:
    """Return a batch's messages as Arrow columns, with one pass of C code over each property."""
    polled = batch.polled

    def headers_of(row: int) -> Headers | None:
        found: Any = polled[row].headers()
        if found is None:
            return None
        return [(n, v.encode() if isinstance(v, str) else v) for n, v in found]

    count = len(polled)
    stamps = np.fromiter(map(itemgetter(1), map(Message.timestamp, polled)), np.int64, count)
    milliseconds = np.clip(stamps, *TIMESTAMPS_MS)
    return Messages(
        topic=batch.topic,
        topic_id=batch.topic_id,
        partition=pa.array(np.fromiter(map(Message.partition, polled), np.int32, count)),
        offset=pa.array(np.fromiter(map(Message.offset, polled), np.int64, count)),
        appended_at=pa.array(milliseconds * 1000).cast(pa.timestamp("us", "UTC")),
        # a list is read twice as fast as an iterator
        key=pa.array(list(map(Message.key, polled)), pa.binary()),
        value=pa.array(list(map(Message.value, polled)), pa.large_binary()),
        headers_of=headers_of,
    )


def select(messages: Messages, keep: np.ndarray[Any, np.dtype[np.bool_]]) -> Messages:
    """Return the messages whose entry in ``keep`` is true."""
    if keep.all():
        return messages
    rows = np.flatnonzero(keep)
    take = pa.array(rows)
    return Messages(
        topic=messages.topic,
        topic_id=messages.topic_id,
        partition=pc.take(messages.partition, take),
        offset=pc.take(messages.offset, take),
        appended_at=pc.take(messages.appended_at, take),
        key=pc.take(messages.key, take),
        value=pc.take(messages.value, take),
        headers_of=lambda row: messages.headers_of(int(rows[row])),
    )
