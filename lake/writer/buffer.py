"""What was polled from one incarnation of a topic and waits for its flush."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from confluent_kafka import Message

from lake.writer.batch import Batch, Part
from lake.writer.source import Source


@dataclass(slots=True)
class Cursor:
    """How far the polling of one source has come; every offset below ``first`` is handed over."""

    source: Source
    held: int | None
    """What the tables hold once all batches handed over so far have landed."""
    first: int
    """The first offset of the next batch."""
    last: int
    """The last offset passed: that of a message in the buffer, or one before the partition's end;
    ``first - 1`` when the next batch has nothing yet."""
    settled: int
    """The first offset that is not in the tables yet."""
    is_seeking: bool = False
    """True until the consumer was told to go on from ``first``; what it delivers is dropped."""
    has_reached_end: bool = False
    """True once the partition's end was seen."""

    @classmethod
    def at(cls, source: Source, held: int | None, first: int) -> Cursor:
        """Return a cursor that begins at ``first``."""
        return cls(source, held, first, first - 1, first)

    def take_part(self) -> Part | None:
        """Hand over what was passed since the last time, if anything."""
        if self.last < self.first:
            return None
        part = Part(self.source, self.held, self.first, self.last)
        self.held = self.last
        self.first = self.last + 1
        return part


@dataclass(slots=True)
class TopicBuffer:
    """Messages of one incarnation of one topic, in poll order."""

    topic: str
    topic_id: str
    polled: list[Message] = field(default_factory=list)
    size: int = 0
    """Payload bytes."""
    since: float | None = None
    """When the oldest of it came, on the monotonic clock; None when there is nothing."""

    def add(self, messages: Sequence[Message], at: float) -> None:
        """Keep messages."""
        self.polled.extend(messages)
        self.size += sum(map(len, messages))
        self.touch(at)

    def touch(self, at: float) -> None:
        """Note that there is something to flush."""
        if self.since is None:
            self.since = at

    def drop(self, source: Source) -> None:
        """Forget the messages of a source that is no longer this writer's."""
        if self.polled:
            self.polled = [m for m in self.polled if m.partition() != source.partition]
            self.size = sum(map(len, self.polled))

    def take(self, parts: Sequence[Part]) -> Batch:
        """Return everything as a batch and begin anew."""
        batch = Batch(self.topic, self.topic_id, tuple(parts), self.polled, self.size)
        self.polled, self.size, self.since = [], 0, None
        return batch


def by_source(
    messages: Sequence[Message], cursors: dict[tuple[str, int], Cursor]
) -> list[tuple[Cursor, list[Message]]]:
    """Sort messages by source, in poll order, and move the cursors past them.

    What a cursor has passed already, and what nobody is assigned to, is left out.
    """
    found: list[tuple[Cursor, list[Message]]] = []
    topics = list(map(Message.topic, messages))
    for topic in dict.fromkeys(topics):
        assert topic is not None  # messages without an error have one
        is_all = topics.count(topic) == len(topics)
        theirs = (
            messages if is_all else [m for m, t in zip(messages, topics, strict=True) if t == topic]
        )
        partitions = np.fromiter(map(Message.partition, theirs), np.int32, len(theirs))
        offsets = np.fromiter(map(Message.offset, theirs), np.int64, len(theirs))
        for number in np.unique(partitions):
            cursor = cursors.get((topic, int(number)))
            if cursor is None or cursor.is_seeking:
                continue
            rows = np.flatnonzero((partitions == number) & (offsets > cursor.last))
            if not len(rows):
                continue
            cursor.last = int(offsets[rows[-1]])
            is_whole = len(rows) == len(theirs)
            found.append((cursor, list(theirs) if is_whole else [theirs[i] for i in rows.tolist()]))
    return found
