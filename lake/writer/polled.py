"""From the messages of a poll to Arrow columns, before the next poll.

A message object lives from one poll to here and no longer: a batch of them kept until its flush
would cost more in fresh memory than reading them does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import numpy as np
import pyarrow as pa
from confluent_kafka import Message

from lake.writer.cursor import Cursor
from lake.writer.messages import Messages

TIMESTAMPS_MS: Final = (0, 253_402_300_799_999)
"""1970 to 9999, UTC. A producer may claim any 64-bit number; what lies outside is set to the end
it passed, since most readers know no such year. Silver goes by the commit's time then."""


def sorted_in(
    polled: Sequence[Message], cursors: Mapping[tuple[str, int], Cursor]
) -> list[Messages]:
    """Return messages as columns, by incarnation of a topic, and move the cursors past them.

    What a cursor has passed already, and what nobody is assigned to, is left out.
    """
    found: list[Messages] = []
    topics: list[Any] = list(map(Message.topic, polled))
    for topic in dict.fromkeys(topics):
        theirs = polled
        if topics.count(topic) != len(topics):
            theirs = [m for m, t in zip(polled, topics, strict=True) if t == topic]
        count = len(theirs)
        partitions = np.fromiter(map(Message.partition, theirs), np.int32, count)
        offsets = np.fromiter(map(Message.offset, theirs), np.int64, count)
        wanted: dict[str, np.ndarray[Any, np.dtype[np.bool_]]] = {}
        for number in np.unique(partitions).tolist():
            cursor = cursors.get((topic, number))
            if cursor is None or cursor.is_seeking:
                continue
            new = (partitions == number) & (offsets > cursor.last)
            rows = np.flatnonzero(new)
            if len(rows):
                cursor.last = int(offsets[rows[-1]])
                topic_id = cursor.source.topic_id
                wanted[topic_id] = wanted[topic_id] | new if topic_id in wanted else new
        for topic_id, keep in wanted.items():
            if keep.all():
                found.append(_columns(topic, topic_id, theirs, partitions, offsets))
            else:
                kept = [theirs[row] for row in np.flatnonzero(keep).tolist()]
                found.append(_columns(topic, topic_id, kept, partitions[keep], offsets[keep]))
    return found


def columns(topic: str, topic_id: str, polled: Sequence[Message]) -> Messages:
    """Return the messages of one incarnation of a topic as columns."""
    count = len(polled)
    partitions = np.fromiter(map(Message.partition, polled), np.int32, count)
    offsets = np.fromiter(map(Message.offset, polled), np.int64, count)
    return _columns(topic, topic_id, polled, partitions, offsets)


def _columns(
    topic: str,
    topic_id: str,
    polled: Sequence[Message],
    partitions: np.ndarray[Any, np.dtype[np.int32]],
    offsets: np.ndarray[Any, np.dtype[np.int64]],
) -> Messages:
    """One pass of C code over each property; no Python code runs for a single message."""
    stamps = np.fromiter(map(itemgetter(1), map(Message.timestamp, polled)), np.int64, len(polled))
    milliseconds = np.clip(stamps, *TIMESTAMPS_MS)
    headers: list[Any] = list(map(Message.headers, polled))
    return Messages(
        topic=topic,
        topic_id=topic_id,
        partition=pa.array(partitions),
        offset=pa.array(offsets),
        appended_at=pa.array(milliseconds * 1000).cast(pa.timestamp("us", "UTC")),
        # a list is read twice as fast as an iterator
        key=pa.array(list(map(Message.key, polled)), pa.binary()),
        value=pa.array(list(map(Message.value, polled)), pa.large_binary()),
        headers=None if headers.count(None) == len(headers) else headers,
    )
