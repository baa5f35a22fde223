"""What was polled from one incarnation of a topic and waits for its flush."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow.compute as pc

from lake.writer.batch import Batch, Part, Piece
from lake.writer.messages import Decoded, Messages, together
from lake.writer.source import Source

DECODED_TOGETHER: Final = 50_000
"""Messages; fewer would pay the fixed cost of a query too often, more would leave the caches and
make decoding wait for the poll."""


class TopicBuffer:
    """Messages of one incarnation of one topic, in poll order, decoded while more are polled."""

    def __init__(
        self,
        topic: str,
        topic_id: str,
        decode: Callable[[Messages], Callable[[], Decoded]],
    ) -> None:
        """Begin with nothing; ``decode`` begins to decode and returns how to get the result."""
        self.topic = topic
        self.topic_id = topic_id
        self.size = 0
        """Payload bytes."""
        self.messages = 0
        self.since: float | None = None
        """When the oldest of it came, on the monotonic clock; None when there is nothing."""
        self._decode = decode
        self._chunks: list[Messages] = []
        self._in_chunks = 0
        self._pieces: list[Piece] = []

    def add(self, messages: Messages, at: float) -> None:
        """Keep messages."""
        self._chunks.append(messages)
        self._in_chunks += len(messages)
        self.messages += len(messages)
        self.size += _size(messages)
        self.touch(at)
        if self._in_chunks >= DECODED_TOGETHER:
            self._begin_decoding()

    def touch(self, at: float) -> None:
        """Note that there is something to flush."""
        if self.since is None:
            self.since = at

    def drop(self, source: Source) -> None:
        """Forget the messages of a source that is no longer this writer's.

        Those that are being decoded already keep their memory, and count in ``size``, until the
        flush.
        """
        for piece in self._pieces:
            if source.partition not in piece.dropped:
                piece.dropped.add(source.partition)
                self.messages -= int((piece.partition.to_numpy() == source.partition).sum())
        chunks = [
            chunk.select(chunk.partition.to_numpy() != source.partition) for chunk in self._chunks
        ]
        self.messages -= self._in_chunks - sum(map(len, chunks))
        self.size -= sum(map(_size, self._chunks)) - sum(map(_size, chunks))
        self._chunks = [chunk for chunk in chunks if len(chunk)]
        self._in_chunks = sum(map(len, self._chunks))

    def take(self, parts: Sequence[Part]) -> Batch:
        """Return everything as a batch and begin anew."""
        self._begin_decoding()
        batch = Batch(self.topic, self.topic_id, tuple(parts), tuple(self._pieces), self.size)
        self._pieces, self.size, self.messages, self.since = [], 0, 0, None
        return batch

    def _begin_decoding(self) -> None:
        if self._chunks:
            self._pieces.append(Piece.of(together(self._chunks), self._decode))
            self._chunks, self._in_chunks = [], 0


def _size(messages: Messages) -> int:
    """Return the bytes of the payloads."""
    return pc.sum(pc.binary_length(messages.value)).as_py() or 0
